# event: {"text": "Grüße, 世界 🌍 \u0000\u001f\"\\/", "key ключ": "\u2028\u2029"}
def lambda_handler(event, context):
    text = event["text"]
    return {"same": event, "length": len(text), "reversed": text[::-1], "upper": text.upper()}
