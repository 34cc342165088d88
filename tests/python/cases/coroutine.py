# event: {}
import warnings

warnings.simplefilter("ignore")


async def lambda_handler(event, context):
    return 1
