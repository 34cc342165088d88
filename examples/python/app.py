"""Python function: unchanged code of AWS Lambda, with a file that it reads."""

import json
import os

with open(os.path.join(os.path.dirname(__file__), "greetings.json"), encoding="utf-8") as file:
    GREETINGS = json.load(file)


def handler(event, context):
    language = event.get("language", "en")
    print(f"greeting in {language}, request {context.aws_request_id}")
    return {"message": f"{GREETINGS.get(language, GREETINGS['en'])}, {event.get('name', 'world')}!"}
