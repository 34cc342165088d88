# event: {"big": 123456789012345678901234567890, "small": 1e-300, "negative": -0.0, "float": 0.1, "exp": 1E5}
def lambda_handler(event, context):
    event["sum"] = event["float"] + 0.2
    event["power"] = 2**200
    event["types"] = [type(value).__name__ for value in event.values()]
    return event
