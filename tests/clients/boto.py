"""boto3 drives a host: create, wait, invoke, page, update, delete; and meets its errors."""

import base64
import json
import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client("lambda")
package = open(sys.argv[1], "rb").read()
for name in ("a", "b", "c"):
    client.create_function(
        FunctionName=name, Runtime="provided.al2023", Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": package},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)

pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
assert [f["FunctionName"] for page in pages for f in page["Functions"]] == ["a", "b", "c"]

answer = client.invoke(FunctionName="a", Payload=b'{"name": "boto3"}', LogType="Tail")
assert json.load(answer["Payload"]) == "Hello, boto3!", answer
assert answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
assert b"REPORT RequestId" in base64.b64decode(answer["LogResult"])
assert client.invoke(FunctionName="a", InvocationType="DryRun")["StatusCode"] == 204

client.update_function_configuration(FunctionName="a", MemorySize=256, Environment={"Variables": {"KEY": "V"}})
client.get_waiter("function_updated_v2").wait(FunctionName="a")
shown = client.get_function_configuration(FunctionName="a")
assert shown["MemorySize"] == 256 and shown["Environment"] == {"Variables": {"KEY": "V"}}, shown


def refused(error, call):
    try:
        call()
    except ClientError as caught:
        assert caught.response["Error"]["Code"] == error, caught
        assert caught.response["Error"]["Message"], caught
        return
    raise AssertionError(f"{error} was expected")


refused("ResourceNotFoundException", lambda: client.get_function(FunctionName="none"))
refused("InvalidRequestContentException", lambda: client.invoke(FunctionName="a", Payload=b"{"))
refused("NotImplementedException", lambda: client.list_capacity_providers())
refused("ResourceConflictException", lambda: client.create_function(
    FunctionName="a", Runtime="provided", Handler="bootstrap",
    Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": package}))

client.publish_version(FunctionName="a")
client.get_waiter("published_version_active").wait(FunctionName="a", Qualifier="1")
client.update_function_configuration(FunctionName="a", Description="second")
client.get_waiter("function_updated").wait(FunctionName="a")
assert client.publish_version(FunctionName="a")["Version"] == "2"
pages = client.get_paginator("list_versions_by_function").paginate(
    FunctionName="a", PaginationConfig={"PageSize": 1})
assert [v["Version"] for page in pages for v in page["Versions"]] == ["$LATEST", "1", "2"]
for alias in ("x", "y", "z"):
    client.create_alias(FunctionName="a", Name=alias, FunctionVersion="1")
pages = client.get_paginator("list_aliases").paginate(FunctionName="a", PaginationConfig={"PageSize": 2})
assert [a["Name"] for page in pages for a in page["Aliases"]] == ["x", "y", "z"]
assert client.invoke(FunctionName="a:x", Payload=b"{}")["ExecutedVersion"] == "1"
client.tag_resource(Resource=client.get_function(FunctionName="b")["Configuration"]["FunctionArn"], Tags={"k": "v"})
assert client.get_function(FunctionName="b")["Tags"] == {"k": "v"}

answer = client.invoke_with_response_stream(FunctionName="a:x", Payload=b'{"name": "stream"}', LogType="Tail")
assert answer["ExecutedVersion"] == "1" and answer["StatusCode"] == 200
events = list(answer["EventStream"])
chunks = b"".join(event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event)
assert json.loads(chunks) == "Hello, stream!", chunks
assert b"REPORT" in base64.b64decode(events[-1]["InvokeComplete"]["LogResult"])
assert "ErrorCode" not in events[-1]["InvokeComplete"]

for name in ("a", "b", "c"):
    client.delete_function(FunctionName=name)
assert client.list_functions()["Functions"] == []
