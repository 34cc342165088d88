# event: {"half": "\ud83d"}
def lambda_handler(event, context):
    return len(event["half"])
