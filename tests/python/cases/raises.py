# event: {"kind": "value"}
# event: {"kind": "custom"}
# event: {"kind": "chained"}
# event: {"kind": "missing"}
# event: {"kind": "deep", "depth": 5}
# event: {"kind": "empty"}
# event: {"kind": "unicode"}
# event: {}
class OrderError(Exception):
    def __str__(self):
        return "order 7 is not there"


class Empty(Exception):
    pass


def fail(kind, event):
    if kind == "value":
        raise ValueError("not a number: %r" % "x")
    if kind == "custom":
        raise OrderError
    if kind == "chained":
        try:
            {}["a"]
        except KeyError as error:
            raise RuntimeError("outer") from error
    if kind == "missing":
        return event["nothing"]
    if kind == "deep":
        return deeper(event["depth"])
    if kind == "unicode":
        raise Exception("ünïcödé 世界\nsecond line")
    raise Empty


def deeper(depth):
    if depth == 0:
        return 1 / 0
    return deeper(depth - 1)


def lambda_handler(event, context):
    return fail(event["kind"], event)
