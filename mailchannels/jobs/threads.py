"""Waiting for what may never come, such as the next line of standard input, without keeping anybody waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

__all__ = ["in_daemon_thread"]

T = TypeVar("T")


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Call in a thread that keeps no process alive, as a worker thread waiting for standard input would."""
    token = anyio.lowlevel.current_token()
    finished = anyio.Event()
    returned: list[T] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            raised.append(error)
        with contextlib.suppress(RuntimeError):  # nobody waits any longer
            anyio.from_thread.run_sync(finished.set, token=token)

    threading.Thread(target=work, name="mailchannels-reader", daemon=True).start()
    await finished.wait()
    if raised:
        raise raised[0]
    return returned[0]
