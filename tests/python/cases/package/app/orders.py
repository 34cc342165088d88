from .core import prices


def total(count):
    if not count:
        raise prices.NothingOrdered(f"{count} items")
    return count * prices.PRICES["item"]
