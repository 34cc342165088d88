# event: {}
import errno


def lambda_handler(event, context):
    try:
        open("/no/such/file")
    except FileNotFoundError as error:
        return [type(error).__name__, error.filename, error.errno == errno.ENOENT]
