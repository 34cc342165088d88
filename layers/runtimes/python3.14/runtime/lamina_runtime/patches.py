"""Changes of the standard library for a machine without threads and socket pairs."""

import asyncio.base_events
import asyncio.selector_events
import concurrent.futures
import concurrent.futures.thread
import socket


class ThreadPoolExecutor(concurrent.futures.Executor):
    """Runs each call in `submit`: there are no threads."""

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **_options):
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._max_workers = max_workers or 1
        self._is_shut_down = False
        if initializer is not None:
            initializer(*initargs)

    def submit(self, fn, /, *args, **kwargs):
        if self._is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # As the executor of threads, which hands it over.
            future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._is_shut_down = True


def _run_in_executor(loop, executor, func, *args):
    loop._check_closed()
    future = loop.create_future()
    try:
        future.set_result(func(*args))
    except Exception as error:
        future.set_exception(error)
    return future


async def _shutdown_default_executor(_loop, timeout=None):
    """There is none."""


def _describe(sock):
    """The original asks for the addresses of the socket; of one that is closing, this ends the guest."""
    return f"<{type(sock).__module__}.{type(sock).__qualname__} fd={sock.fileno()}>"


def _no_self_pipe(loop):
    """Only signals and other threads wake a loop through its pipe."""
    loop._ssock = loop._csock = None


def apply() -> None:
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor
    concurrent.futures.thread.ThreadPoolExecutor = ThreadPoolExecutor
    asyncio.base_events.BaseEventLoop.run_in_executor = _run_in_executor
    asyncio.base_events.BaseEventLoop.shutdown_default_executor = _shutdown_default_executor
    loop = asyncio.selector_events.BaseSelectorEventLoop
    loop._make_self_pipe = loop._close_self_pipe = _no_self_pipe
    loop._write_to_self = lambda _loop: None
    socket.socket.__repr__ = _describe
