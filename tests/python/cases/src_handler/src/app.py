# handler: src/app.handle
# event: {"a": 1}
from src import helper


def handle(event, context):
    return helper.double(event["a"])
