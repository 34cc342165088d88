# event: {"order": 3}
# event: {"order": 0}
from app import orders
from app.core.prices import PRICES


def lambda_handler(event, context):
    return {"total": orders.total(event["order"]), "prices": PRICES}
