# event: {"Records": [{"kinesis": {"data": "eyJhIjogMX0=", "sequenceNumber": "49"}}, {"kinesis": {"data": "bm90IGpzb24=", "sequenceNumber": "50"}}]}
import base64
import json


def lambda_handler(event, context):
    decoded = []
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"]).decode()
        try:
            decoded.append(json.loads(data))
        except json.JSONDecodeError:
            decoded.append(data)
    return decoded
