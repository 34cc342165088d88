# event: {}
import statistics

import difflib


def lambda_handler(event, context):
    return [statistics.NAME, difflib.NAME]
