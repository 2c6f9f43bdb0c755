"""Options that several commands share, and the way from them to a client's arguments."""

from __future__ import annotations

import math
import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import anyio
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import AsyncMailChannels
from ..errors import ConfigurationError
from .output import warn
from .progress import ProgressStyle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..simulator import Simulator

__all__ = [
    "Access",
    "Bulk",
    "DomainBulk",
    "Input",
    "Name",
    "above_zero",
    "ask",
    "connection",
    "embedded_simulator",
    "has_api_key",
    "key_in",
    "simulator_extra",
]

T = TypeVar("T")


def above_zero(_: object, rate: float) -> None:
    """Hold that a rate is a number above 0."""
    if not 0 < rate < math.inf:
        raise ValueError("Must be a number above 0.")


Input = Annotated[
    str, Parameter(name="FILE", allow_leading_hyphen=True, help="Path of the domains; - is standard input.")
]

Name = Annotated[str, Parameter(name="NAME", help="The domain's name, in Unicode or as A-labels.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Access:
    """How the API is reached."""

    api_key_file: Annotated[
        str | None,
        Parameter(metavar="PATH", help="File whose first line is the API key; default: $MAILCHANNELS_API_KEY."),
    ] = None
    base_url: Annotated[
        str | None,
        Parameter(metavar="URL", help="Address of the API; default: $MAILCHANNELS_BASE_URL, else the public one."),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Bulk:
    """How a bulk job runs."""

    dry_run: Annotated[
        bool, Parameter(negative="", show_default=False, help="Read and check everything, change nothing.")
    ] = False
    errors: Annotated[
        str | None,
        Parameter(
            metavar="PATH",
            help="CSV file for rows that did not succeed; it can be given as FILE. An earlier report is replaced, and "
            "where no row fails its header alone is left.",
        ),
    ] = None
    progress: Annotated[
        ProgressStyle,
        Parameter(help="How progress is shown on standard error; auto: a bar on a terminal, JSON lines elsewhere."),
    ] = "auto"
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Print the result as one JSON object.")] = (
        False
    )
    concurrency: Annotated[
        int, Parameter(validator=Number(gte=1, lte=100), metavar="N", help="Requests under way at most, 1 to 100.")
    ] = 16
    rate: Annotated[
        float, Parameter(validator=above_zero, metavar="N", help="Requests per second, above 0; the API allows 100.")
    ] = 95.0
    simulator: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Run against a simulator on this machine; its subscription is `demo`."
        ),
    ] = False


@Parameter(name="*")
@dataclass(frozen=True)
class DomainBulk(Bulk):
    """How a bulk job over domains runs, which can be taken up."""

    journal: Annotated[
        str | None,
        Parameter(
            metavar="PATH",
            help="File that remembers what was sent and what came of it; the same command again takes up from there.",
        ),
    ] = None


@contextmanager
def connection(access: Access, *, simulator: bool = False) -> Iterator[dict[str, Any]]:
    """Give the arguments of a client that reaches the API, or a simulator that runs meanwhile."""
    if not simulator:
        yield {"api_key": _api_key(access), "base_url": access.base_url}
        return
    if access != Access():
        raise ConfigurationError(
            "--simulator: has a key and an address of its own; leave out --base-url and --api-key-file"
        )
    with embedded_simulator() as running:
        warn(f"simulator at {running.base_url}, subscription {running.subscription!r}: nothing leaves this machine")
        yield {"api_key": running.api_key, "base_url": running.base_url}


@contextmanager
def embedded_simulator() -> Iterator[Simulator]:
    """Run a simulator meanwhile."""
    with simulator_extra():
        from ..simulator import Simulator  # noqa: PLC0415  # needs an extra that is not needed otherwise
    with _without_proxies(), Simulator() as running:
        yield running


def ask(access: Access, call: Callable[[AsyncMailChannels], Awaitable[T]]) -> T:
    """Run a call with a client that is open meanwhile."""

    async def with_client(arguments: dict[str, Any]) -> T:
        async with AsyncMailChannels(**arguments) as client:
            return await call(client)

    with connection(access) as arguments:
        return anyio.run(with_client, arguments)


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Let no proxy stand before this machine, whatever the environment says."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    os.environ.update(dict.fromkeys(before, "*"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def simulator_extra() -> Iterator[None]:
    """Say what to install where the simulator cannot be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"starlette", "uvicorn"}:
            raise
        raise ConfigurationError('the simulator needs more: pip install "mailchannels-sdk[simulator]"') from None


_KEY_VARIABLE: Final = "MAILCHANNELS_API_KEY"


def has_api_key(access: Access) -> bool:
    """Whether a key is given, right or wrong."""
    return access.api_key_file is not None or bool(os.environ.get(_KEY_VARIABLE))


def _api_key(access: Access) -> str | None:
    if access.api_key_file is None:
        if _KEY_VARIABLE not in os.environ:
            raise ConfigurationError(f"the API key is missing; set ${_KEY_VARIABLE} or use --api-key-file PATH")
        return None
    return key_in(access.api_key_file, "--api-key-file")


def key_in(path: str, option: str, *, may_be_stdin: bool = False) -> str:
    """Read a key, the first line of a file, or of standard input where that may be meant by -."""
    is_stdin = may_be_stdin and path == "-"
    if is_stdin and sys.stdin.isatty():
        with suppress(EOFError):
            return getpass("API key (it is not shown): ").strip()
        return ""
    try:
        with nullcontext(sys.stdin) if is_stdin else Path(path).open(encoding="utf-8") as file:
            return file.readline().strip()
    except (OSError, ValueError) as error:
        # The path is not shown: somebody may have given the key itself.
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{option}: cannot be read: {reason}") from None
