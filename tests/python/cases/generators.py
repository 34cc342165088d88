# event: {"n": 10}
import contextlib


@contextlib.contextmanager
def traced(name, into):
    into.append(f"begin {name}")
    try:
        yield
    finally:
        into.append(f"end {name}")


def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


def lambda_handler(event, context):
    steps = []
    with contextlib.suppress(ZeroDivisionError), traced("work", steps):
        numbers = [number for number, _ in zip(fibonacci(), range(event["n"]))]
        steps.append(f"{sum(numbers):,}")
        1 / 0
    return steps
