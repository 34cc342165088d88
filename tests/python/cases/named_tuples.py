# event: {"x": 3, "y": 4}
import collections
import typing

Point = collections.namedtuple("Point", "x y")


class Pair(typing.NamedTuple):
    left: int
    right: Point


def lambda_handler(event, context):
    point = Point(**event)
    return [point, Pair(1, point)]
