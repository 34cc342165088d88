# event: {}
import no_such_package


def lambda_handler(event, context):
    return 1
