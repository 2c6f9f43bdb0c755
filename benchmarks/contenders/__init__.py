"""Who is measured. A contender is a file with one function, `open_load(job)`: a context with a call to repeat in it.

This list is read by the program that starts the processes, which must stay small: on Linux a process inherits the peak
memory of the one that starts it. So the files are imported where they run, and nothing of them here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

CallT = TypeVar("CallT")
AsyncCall: TypeAlias = Callable[[], Awaitable[None]]
BlockingCall: TypeAlias = Callable[[], None]

OURS: Final = "async"
"""The contender that all the others are compared with."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: What it is called on the command line.
        title: What it is called in the tables.
        short_title: What it is called in the chart.
        module: The file that does it; None for the peer, which is written in another language.
        needs: The packages it cannot do without.
        concurrencies: At which it is measured; None where the one that stands for a workload is enough.
        blocking: Whether its calls block, so that each of those under way takes a thread.
        uvloop: Whether it runs on uvloop instead of asyncio's own event loop; otherwise uvloop is kept from it.
    """

    name: str
    title: str
    short_title: str
    module: str | None
    needs: tuple[str, ...] = ()
    concurrencies: tuple[int, ...] | None = (1, 10, 100)
    blocking: bool = False
    uvloop: bool = False


def _blocking(name: str, *, threads: int, uvloop: bool = False) -> Contender:
    what = f"blocking, {threads} thread{'s' * (threads > 1)}{', on uvloop' * uvloop}"
    return Contender(
        name,
        f"mailchannels, {what}",
        f"mailchannels, {what}",
        "ours_blocking",
        needs=("uvloop",) * uvloop,
        concurrencies=(threads,),
        blocking=True,
        uvloop=uvloop,
    )


CONTENDERS: Final = {
    contender.name: contender
    for contender in (
        Contender(OURS, "mailchannels, async", "mailchannels", "ours", concurrencies=(1, 8, 10, 100)),
        Contender(
            "speed",
            "mailchannels, async, on aiohttp and uvloop",
            "mailchannels on aiohttp",
            "ours_on_aiohttp",
            needs=("aiohttp", "uvloop"),
            concurrencies=None,
            uvloop=True,
        ),
        _blocking("sync-1", threads=1),
        _blocking("sync-8", threads=8),
        _blocking("sync-1-uvloop", threads=1, uvloop=True),
        _blocking("sync-8-uvloop", threads=8, uvloop=True),
        Contender("httpx", "httpx", "httpx", "stock_httpx"),
        Contender("httpx-free-list", "httpx on our connections", "httpx on our connections", "our_connections"),
        Contender("aiohttp", "aiohttp", "aiohttp", "raw_aiohttp", needs=("aiohttp",)),
        Contender("peer", "TypeScript peer", "TypeScript peer", None),
        Contender(
            "requests",
            "requests + json",
            "requests",
            "naive_requests",
            needs=("requests",),
            concurrencies=(1,),
            blocking=True,
        ),
    )
}

# Those that a promise compares come one after the other: the speed of a machine drifts.
_COMPARED: Final = ("httpx", "httpx-free-list", OURS, "sync-1", "sync-8", "speed", "peer")
IN_TURN: Final = (*_COMPARED, *(name for name in CONTENDERS if name not in _COMPARED))


@dataclass(frozen=True)
class Load(Generic[CallT]):
    """A call to repeat.

    Attributes:
        call: Makes the call and holds that its answer is whole.
        calls: How many calls of the API it makes; more than one where the client turns a stream into calls itself.
        first: Makes a shorter call to warm up with; None where `call` is short.
    """

    call: CallT
    calls: int = 1
    first: CallT | None = None


def hold(is_whole: bool) -> None:
    """End the process where an answer is not what the server gave: what is wrong must not be fast."""
    if not is_whole:
        raise ValueError("the answer is not whole")
