# event: {}
import collections
import enum


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Name(str):
    pass


def lambda_handler(event, context):
    counts = collections.Counter("banana")
    ordered = collections.OrderedDict([("z", Level.LOW), ("a", Level.HIGH)])
    default = collections.defaultdict(list, {"k": [Name("n")]})
    return {"counts": counts, "ordered": ordered, "default": default, "deque": list(collections.deque([1, 2]))}
