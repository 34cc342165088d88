# event: {}
import json


def lambda_handler(event, context):
    return json.dumps([float("nan"), float("inf"), float("-inf")])
