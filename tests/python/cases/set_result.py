# event: {}
def lambda_handler(event, context):
    return {"tags": {1}}
