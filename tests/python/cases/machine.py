# event: {}
import copy
import heapq
import os
import pickle
import random
import secrets
import statistics
import struct


def lambda_handler(event, context):
    random.seed(7)
    numbers = [random.randrange(1000) for _ in range(10)]
    return {
        "random": numbers,
        "largest": heapq.nlargest(2, numbers),
        "mean": statistics.mean(numbers),
        "packed": struct.pack("<Ihd", 1, -2, 0.5).hex(),
        "pickled": pickle.loads(pickle.dumps(copy.deepcopy({"a": (1, 2)}))),
        "token": len(secrets.token_bytes(16)),
        "urandom": os.urandom(8) != os.urandom(8),
        "hash": isinstance(hash("x"), int),
    }
