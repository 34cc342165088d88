# event: {}
class Order:
    pass


def lambda_handler(event, context):
    return [Order()]
