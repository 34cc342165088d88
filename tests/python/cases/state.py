# event: {}
# event: {}
# event: {}
counter = 0
seen = []


def lambda_handler(event, context):
    global counter
    counter += 1
    seen.append(counter)
    return {"counter": counter, "seen": seen}
