# event: {}
import sys


def lambda_handler(event, context):
    print("one", 2, "three", sep="-")
    print("no", "end", end=" ")
    print("of line")
    sys.stdout.write("written\n")
    print("ünïcödé 世界")
    print("unfinished", end="")
    return sys.stdout.encoding.lower()
