# event: {}
from decimal import Decimal


def lambda_handler(event, context):
    return {"price": Decimal("12.50"), "list": [Decimal("1E+3"), {"deep": Decimal("-0.001")}], "plain": 1}
