"""The command `simulator`."""

from __future__ import annotations

import errno
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import ConfigurationError
from .options import simulator_extra

__all__ = ["simulator"]


def simulator(
    *,
    host: Annotated[str, Parameter(metavar="ADDRESS", help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(validator=Number(gte=0, lte=65_535), metavar="N", help="TCP port; 0 takes a free one.")
    ] = 8787,
    latency: Annotated[
        float, Parameter(validator=Number(gte=0), metavar="MS", help="Milliseconds that each answer is held back.")
    ] = 0.0,
    rate_limit: Annotated[
        float | None,
        Parameter(validator=Number(gte=1), metavar="N", help="Requests per second of a customer; default: no limit."),
    ] = None,
    domain_limit: Annotated[
        int, Parameter(validator=Number(gte=0), metavar="N", help="Domains that the subscription `demo` takes.")
    ] = 10_000_000,
    faults: Annotated[
        str,
        Parameter(
            metavar="SPEC",
            help="What goes wrong, and how often; default: nothing. One fault or several, separated by semicolons:"
            " KIND:OPTION=VALUE,... The kinds: drop-before (reset, nothing applied), drop-after (applied, then reset),"
            " truncate, drip, stall (applied, no answer), garbage=text|html|types|utf8, status=CODE (nothing applied),"
            " redirect=URL, drop-idle. The options: method=, path= (part of it), every=N, first=N, for=SECONDS,"
            " probability=P, seed=N; interval=SECONDS for drip, after=SECONDS for drop-idle."
            " Such as 'drop-after:every=3;status=503:for=10'.",
        ),
    ] = "",
) -> int:
    """Run an API server in memory, for trials; its first line, in JSON, says where it is and what key it takes."""
    with simulator_extra():
        from ..simulator import Faults, serve  # noqa: PLC0415  # needs an extra that is not needed otherwise
    try:
        chosen = Faults.parse(faults)
    except ValueError as error:
        raise ConfigurationError(f"--faults: {error}") from None
    try:
        serve(
            host=host,
            port=port,
            latency=latency / 1_000,
            rate_limit=rate_limit,
            domain_limit=domain_limit,
            faults=chosen,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise ConfigurationError(
            f"--port: {port} cannot be had: {error.strerror}; --port 0 takes one that is free"
        ) from None
    return 0
