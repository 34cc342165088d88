# event: {}
from helper import no_such_name


def lambda_handler(event, context):
    return no_such_name
