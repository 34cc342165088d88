import json
import pathlib

PRICES = json.loads((pathlib.Path(__file__).parent / "prices.json").read_text())


class NothingOrdered(Exception):
    pass
