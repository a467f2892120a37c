"""An event loop that signals end in order."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run_until_signalled(work: Coroutine[Any, Any, _Result]) -> _Result:
    """`asyncio.run`, in which a signal cancels the work; then it ends the caller as `ended_by_signals` does.

    An exception from a signal's handler, raised in the middle of the loop, would tear running tasks apart.
    """
    received: list[int] = []

    async def main() -> _Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(number: int, _: FrameType | None) -> None:
            received.append(number)
            loop.call_soon_threadsafe(task.cancel)

        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            return await work
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    try:
        return asyncio.run(main())
    except BaseException:
        if not received:
            raise
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + received[0]) from None
