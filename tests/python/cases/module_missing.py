# handler: app.handler
# event: {}
def lambda_handler(event, context):
    return 1
