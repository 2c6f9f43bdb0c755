"""From a client's arguments and the environment to a `Transport`, or to a `ConfigurationError` that says what is wrong.

Every provider's client is set up here; what differs between them is a default address and a header.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import checks
from ._version import __version__
from .connections import AsyncBaseTransport, Connections
from .errors import ConfigurationError, InvalidInput
from .pacing import Pacer
from .secrecy import in_confidence
from .transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lines import Lines


def credential(argument: str, value: str | None, variable: str) -> str:
    """Find a key or token among the arguments or in the environment; no message ever shows it."""
    origin = argument
    if value is None:
        value, origin = os.environ.get(variable), f"${variable}"
        if value is None:
            raise ConfigurationError(f"{argument}: is missing; pass it or set ${variable}")
    fault = checks.fault_of_credential(value)
    if fault is not None:
        raise ConfigurationError(f"{origin}: {fault}")
    return value


def account(argument: str, value: str) -> str:
    """Hold that an account is named by a UUID, and give its usual form."""
    try:
        return checks.account(argument, value)
    except InvalidInput as error:
        raise ConfigurationError(str(error)) from None


def address(value: str | None, variable: str, default: str) -> str:
    """Find the server's address among the arguments or in the environment, without a slash at its end."""
    origin = "base_url" if value is not None else f"${variable}"
    url = value if value is not None else os.environ.get(variable, default)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # as it is looked up
    except (AttributeError, TypeError, ValueError):
        raise ConfigurationError(f"{origin}: is no address; use one such as {default!r}") from None
    # First, so that no message below quotes a password.
    if parts.username is not None or "?" in url or "#" in url:
        raise ConfigurationError(f"{origin}: must not contain a user name, a query or a fragment")
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\x00-\x20\x7f]", url):
        raise ConfigurationError(f"{origin}: {url!r} is no address; use one such as {default!r}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(f"{origin}: plain http would show the key to the network; use https for {host!r}")
    return url.rstrip("/")


def open_transport(
    *,
    base_url: str,
    root: str,
    header: tuple[str, str],
    secret: str,
    timeout: float,
    queue_timeout: float | None,
    max_connections: int,
    max_retries: int,
    rate_limit: float | Pacer | None,
    transport: AsyncBaseTransport | None,
) -> Transport:
    """Check the settings that all clients share and make a transport of them; nothing is opened yet."""
    _hold("timeout", timeout, lambda value: 0 < value < math.inf, "a number of seconds above 0")
    if queue_timeout is not None:
        _hold("queue_timeout", queue_timeout, lambda value: 0 <= value < math.inf, "a number of seconds, or None")
    _hold("max_connections", max_connections, lambda value: type(value) is int and value >= 1, "a whole number from 1")
    _hold("max_retries", max_retries, lambda value: type(value) is int and value >= 0, "a whole number from 0")
    if transport is not None and not isinstance(transport, AsyncBaseTransport):
        raise ConfigurationError("transport: must be an httpx.AsyncBaseTransport, also for a blocking client")
    name, value = header
    url = base_url + root
    headers = {
        name: value,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"mailchannels-sdk/{__version__}",
    }

    @in_confidence
    def open_lines() -> Lines:
        from .lines import Lines  # noqa: PLC0415  # whoever stays async need not wait for httpcore's blocking half

        return Lines(base_url=url, headers=headers, limit=max_connections)

    return Transport(
        Connections(base_url=url, headers=headers, limit=max_connections, transport=transport),
        open_lines=open_lines if transport is None else None,
        pacer=rate_limit if rate_limit is None or isinstance(rate_limit, Pacer) else Pacer(rate_limit),
        timeout=timeout,
        queue_timeout=queue_timeout,
        max_retries=max_retries,
        secret=secret,
    )


def _hold(argument: str, value: float, is_allowed: Callable[[float], bool], allowed: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_allowed(value):
        raise ConfigurationError(f"{argument}: {value!r} is not allowed; it must be {allowed}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
