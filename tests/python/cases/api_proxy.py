# event: {"version": "2.0", "rawPath": "/orders/7", "requestContext": {"http": {"method": "GET"}}, "queryStringParameters": {"full": "1"}}
# event: {"version": "2.0", "rawPath": "/orders", "requestContext": {"http": {"method": "POST"}}, "body": "eyJpdGVtIjogImEifQ==", "isBase64Encoded": true}
# event: {"version": "2.0", "rawPath": "/nothing", "requestContext": {"http": {"method": "GET"}}}
import base64
import json

ORDERS = {"7": {"item": "x"}}


def respond(status, body, **headers):
    return {"statusCode": status, "headers": {"content-type": "application/json", **headers}, "body": json.dumps(body)}


def lambda_handler(event, context):
    method = event["requestContext"]["http"]["method"]
    match method, event["rawPath"].strip("/").split("/"):
        case "GET", ["orders", number] if number in ORDERS:
            return respond(200, ORDERS[number], **{"x-full": event.get("queryStringParameters", {}).get("full", "0")})
        case "POST", ["orders"]:
            body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"]
            ORDERS["8"] = json.loads(body)
            return respond(201, {"id": 8, "orders": len(ORDERS)}, location="/orders/8")
        case _:
            return respond(404, {"message": "not found"})
