"""InvokeWithResponseStream of the example `streaming`, read by boto3."""

import base64

import boto3

answer = boto3.client("lambda").invoke_with_response_stream(
    FunctionName="countdown",
    Payload=b'{"queryStringParameters": {"from": "2"}}',
    LogType="Tail",
)
assert answer["ExecutedVersion"] == "$LATEST", answer
chunks, complete = [], None
for event in answer["EventStream"]:
    if "PayloadChunk" in event:
        assert complete is None, "a chunk comes after the end"
        chunks.append(event["PayloadChunk"]["Payload"])
    else:
        complete = event["InvokeComplete"]
metadata, *lines = chunks
assert metadata == b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":[]}' + bytes(8), metadata
assert lines == [b"2\n", b"1\n", b"lift-off\n"], lines
assert "ErrorCode" not in complete, complete
assert b"REPORT RequestId" in base64.b64decode(complete["LogResult"]), complete

failed = boto3.client("lambda").invoke_with_response_stream(
    FunctionName="countdown", Payload=b'{"queryStringParameters": {"from": "soon"}}'
)
*_, last = failed["EventStream"]
assert last["InvokeComplete"]["ErrorCode"] == "Error", last
assert "invalid digit" in last["InvokeComplete"]["ErrorDetails"], last
