# event: {}
import os

with open("settings.json") as file:
    SETTINGS = file.read()


def lambda_handler(event, context):
    return {"settings": SETTINGS.strip(), "listed": sorted(it for it in os.listdir() if not it.startswith("__"))}
