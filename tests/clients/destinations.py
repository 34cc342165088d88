"""Destinations and dead-letter queues on moto: the records that SQS, SNS, EventBridge, S3 and other functions get."""

import json
import os
import sys
import time

import boto3

HOST, MOTO = os.environ["HOST"], os.environ["MOTO"]
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
lambda_ = boto3.client("lambda", endpoint_url=HOST)
sqs, sns, events, s3 = (
    boto3.client(name, endpoint_url=MOTO) for name in ("sqs", "sns", "events", "s3"))
package = open(sys.argv[1], "rb").read()


def queue(name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def message(url):
    """The next message; the host has a minute to send it."""
    for _ in range(60):
        found = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, AttributeNames=["All"], MessageAttributeNames=["All"])
        for it in found.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=it["ReceiptHandle"])
            return it
    raise AssertionError(f"{url} gets no message")


def function(name, **more):
    lambda_.create_function(
        FunctionName=name, Runtime="provided.al2023", Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": package}, Timeout=30, **more)
    lambda_.get_waiter("function_active_v2").wait(FunctionName=name)


def send(name, event):
    answer = lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202 and not answer["Payload"].read(), answer
    return answer["ResponseMetadata"]["RequestId"]


def destinations(name, success=None, failure=None):
    config = {}
    if success:
        config["OnSuccess"] = {"Destination": success}
    if failure:
        config["OnFailure"] = {"Destination": failure}
    lambda_.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig=config)


ECHO = {"do": "echo", "n": 1}
FAIL = {"do": "fail", "type": "Poison", "message": "it cannot be done"}


def check(record, request_id, name, condition, event, count=1):
    assert list(record)[:4] == ["version", "timestamp", "requestContext", "requestPayload"], record
    assert record["version"] == "1.0" and record["timestamp"].endswith("Z"), record
    assert record["requestContext"] == {
        "requestId": request_id, "functionArn": f"{ARN}{name}:$LATEST",
        "condition": condition, "approximateInvokeCount": count}, record
    assert record["requestPayload"] == event, record


success_url, success = queue("success")
failure_url, failure = queue("failure")
dead_url, dead = queue("dead")
function("f", DeadLetterConfig={"TargetArn": dead})

# SQS: a success, and a failure that the dead-letter queue gets too.
destinations("f", success, failure)
id_ = send("f", ECHO)
record = json.loads(message(success_url)["Body"])
check(record, id_, "f", "Success", ECHO)
assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}, record
assert record["responsePayload"] == ECHO, record

id_ = send("f", FAIL)
record = json.loads(message(failure_url)["Body"])
check(record, id_, "f", "RetriesExhausted", FAIL)
assert record["responseContext"] == {
    "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}, record
assert record["responsePayload"]["errorType"] == "Poison", record
letter = message(dead_url)
assert json.loads(letter["Body"]) == FAIL, letter
attributes = {name: (it["DataType"], it["StringValue"]) for name, it in letter["MessageAttributes"].items()}
assert attributes == {
    "RequestID": ("String", id_), "ErrorCode": ("Number", "200"),
    "ErrorMessage": ("String", "it cannot be done")}, attributes

# Without concurrency, an event is given up untried.
lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
id_ = send("f", ECHO)
record = json.loads(message(failure_url)["Body"])
check(record, id_, "f", "ZeroReservedConcurrency", ECHO, count=0)
assert "responseContext" not in record and "responsePayload" not in record, record
assert json.loads(message(dead_url)["Body"]) == ECHO
lambda_.delete_function_concurrency(FunctionName="f")

# SNS, which passes records on to a queue, and dead letters with their attributes.
topic = sns.create_topic(Name="topic")["TopicArn"]
topic_url, topic_queue = queue("of-topic")
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=topic_queue)
function("g", DeadLetterConfig={"TargetArn": topic})
destinations("g", success=topic)
id_ = send("g", ECHO)
check(json.loads(json.loads(message(topic_url)["Body"])["Message"]), id_, "g", "Success", ECHO)
id_ = send("g", FAIL)
letter = json.loads(message(topic_url)["Body"])
assert json.loads(letter["Message"]) == FAIL, letter
assert letter["MessageAttributes"]["RequestID"] == {"Type": "String", "Value": id_}, letter
assert letter["MessageAttributes"]["ErrorCode"]["Value"] == "200", letter

# EventBridge.
bus = events.create_event_bus(Name="bus")["EventBusArn"]
bus_url, bus_queue = queue("of-bus")
events.put_rule(Name="all", EventBusName="bus", EventPattern=json.dumps({"source": ["lambda"]}))
events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "1", "Arn": bus_queue}])
function("h")
destinations("h", success=bus, failure=bus)
for event, outcome, condition in (
        (ECHO, "Success", "Success"), (FAIL, "Failure", "RetriesExhausted")):
    id_ = send("h", event)
    found = json.loads(message(bus_url)["Body"])
    assert found["source"] == "lambda", found
    assert found["detail-type"] == f"Lambda Function Invocation Result - {outcome}", found
    assert found["resources"] == [bus, f"{ARN}h:$LATEST"], found
    check(found["detail"], id_, "h", condition, event)

# S3, for failures.
s3.create_bucket(Bucket="failures")
function("i")
destinations("i", failure="arn:aws:s3:::failures")
id_ = send("i", FAIL)
for _ in range(600):
    objects = s3.list_objects_v2(Bucket="failures").get("Contents", [])
    if objects:
        break
    time.sleep(0.1)
(object_,) = objects
assert object_["Key"].startswith("aws/lambda/async/i/20"), object_
record = json.load(s3.get_object(Bucket="failures", Key=object_["Key"])["Body"])
check(record, id_, "i", "RetriesExhausted", FAIL)

# Another function, which sends its own record on.
function("j")
destinations("i", success=f"{ARN}j")
destinations("j", failure=failure)
id_ = send("i", ECHO)
record = json.loads(message(failure_url)["Body"])
assert record["requestContext"]["functionArn"] == f"{ARN}j:$LATEST", record
assert record["requestContext"]["requestId"] != id_, record
check(record["requestPayload"], id_, "i", "Success", ECHO)
print("ok")
