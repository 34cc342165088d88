# event: {}
import os
import sys


def lambda_handler(event, context):
    names = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_REGION", "_HANDLER"]
    os.environ["ADDED"] = "x"
    return {
        "variables": {name: os.environ[name] for name in names},
        "missing": os.environ.get("NO_SUCH_VARIABLE"),
        "added": os.getenv("ADDED"),
        "directory": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "first": sys.path[0] == os.environ["LAMBDA_TASK_ROOT"],
        "file": __file__.endswith("/lambda_function.py"),
        "name": __name__,
    }
