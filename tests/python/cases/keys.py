# event: {}
def lambda_handler(event, context):
    return {1: "int", 2.5: "float", True: "true", None: "none", "text": (1, (2, 3))}
