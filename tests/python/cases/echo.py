# event: {"name": "world", "list": [1, 2.5, true, null, "x"], "empty": {}, "nothing": []}
# event: "text"
# event: 42
# event: [1, [2, [3]]]
# event: null
def lambda_handler(event, context):
    return event
