# event: {}
def lambda_handler(event, context):
    return {"body": "grün".encode(), "list": [b"a", b"b"]}
