# event: {"Records": [{"messageId": "1", "body": "{\"n\": 1}"}, {"messageId": "2", "body": "bad"}, {"messageId": "3", "body": "{\"n\": 0}"}]}
import json


def lambda_handler(event, context):
    failures = []
    for record in event["Records"]:
        try:
            print("processed", 10 // json.loads(record["body"])["n"])
        except (ValueError, ZeroDivisionError) as error:
            print("failed", record["messageId"], type(error).__name__)
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
