# event: {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "a+folder/%C3%BC+1.txt", "size": 3}}}]}
import os.path
import urllib.parse


def lambda_handler(event, context):
    keys = [urllib.parse.unquote_plus(record["s3"]["object"]["key"]) for record in event["Records"]]
    return [{"key": key, "folder": os.path.dirname(key), "url": "s3://b/" + urllib.parse.quote(key)} for key in keys]
