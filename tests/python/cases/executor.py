# event: {}
import concurrent.futures


def work(n):
    if n == 3:
        raise ValueError("three")
    return n * 2


def lambda_handler(event, context):
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        doubled = list(pool.map(work, [1, 2]))
        futures = [pool.submit(work, n) for n in (3, 4)]
        done = [future.exception() or future.result() for future in concurrent.futures.as_completed(futures)]
    return {"doubled": doubled, "done": sorted(map(str, done))}
