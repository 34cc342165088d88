# handler: lambda_function.handler
# event: {"n": 2}
# event: {"n": 3}
class Accumulator:
    def __init__(self):
        self.total = 0

    def __call__(self, event, context):
        self.total += event["n"]
        return self.total


handler = Accumulator()
