# event: {"n": 4}
# event: {"n": 2}
import asyncio


async def work(n):
    await asyncio.sleep(0.001 * n)
    return n * n


async def main(n):
    results = await asyncio.gather(*(work(i) for i in range(n)))
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        for result in results:
            group.create_task(queue.put(result))
    taken = sorted(queue.get_nowait() for _ in results)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except TimeoutError:
        taken.append("timeout")
    taken.append(await asyncio.to_thread(sum, [1, 2, 3]))
    taken.append(await asyncio.get_running_loop().run_in_executor(None, len, "abcd"))
    return taken


def lambda_handler(event, context):
    return asyncio.run(main(event["n"]))
