# event: {}
def lambda_handler(event, context):
    event["self"] = event
    return event
