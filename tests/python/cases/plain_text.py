# event: {}
def lambda_handler(event, context):
    return 'He said "hi"\n'
