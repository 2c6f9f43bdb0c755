"""The application: which commands there are, and what an error becomes on the terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from cyclopts import App, CycloptsError, MissingArgumentError, UnusedCliTokensError

from .. import __version__
from ..errors import MailChannelsError
from . import domains, hybridbox, jobs, lists, service, simulator, users
from .exits import INTERRUPTED, WRONG_USAGE, exit_code
from .output import error_text, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

# What arguments of the package are called on the command line.
_OPTIONS: Final = {
    "account_id": "--account",
    "admins": "--admins",
    "alias": "ALIAS",
    "aliases": "--aliases",
    "api_key": "--api-key-file",
    "base_url": "--base-url",
    "batch_size": "--batch-size",
    "concurrency": "--concurrency",
    "domain": "NAME",
    "downstream_addresses": "--downstream",
    "email": "EMAIL",
    "item": "ITEM",
    "key": "--new-key-file",
    "limit": "--limit",
    "list_entries['blocklist']": "--blocklist",
    "list_entries['safelist']": "--safelist",
    "offset": "--offset",
    "rate_limit": "--rate",
    "records": "RECORD",
    "reset": "--reset",
    "settings.spam_header_name": "--spam-header-name",
    "settings.spam_header_value": "--spam-header-value",
    "subscription_handle": "--subscription",
    "token": "--token-file",
}
_INSTEAD: Final = {
    "--api-key": "set $MAILCHANNELS_API_KEY or use --api-key-file",
    "--new-key": "use --new-key-file",
    "--token": "set $HYBRIDBOX_TOKEN or use --token-file",
}
# An argument, and which member of it, such as `records` and `[0].port`.
_ARGUMENT: Final = re.compile(r"(settings\.\w+|list_entries\['\w+'\]|\w+)(\S*)")

app: App = App(
    name="mailchannels",
    help="Provision and manage email domains on MailChannels Inbound, one by one or by the million.",
    help_epilogue="The API key comes from $MAILCHANNELS_API_KEY, or from the file that --api-key-file names.",
    help_format="plaintext",
    version=f"mailchannels {__version__}",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
app.command(domains.app)
app.command(jobs.app)
app.command(lists.app)
app.command(users.app)
app.command(service.subscriptions)
app.command(service.status)
app.command(hybridbox.app)
app.command(simulator.simulator)


def run(arguments: Sequence[str]) -> int:
    """Run a command and give its exit code; what goes wrong becomes one line on standard error."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _option(argument: str) -> str:
    found = _ARGUMENT.fullmatch(argument)
    return argument if found is None else _OPTIONS.get(found[1], found[1]) + found[2]


def _usage(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UnusedCliTokensError):
        return f"there is no argument for {', '.join(map(repr, error.unused_tokens or ()))}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword is not None:
            return f"{error.keyword}: has no value"
        _, guess, meant = text.partition(" Did you mean ")
        return f"{error.argument.name}: is required{guess and '.'}{guess}{meant}"
    return text


def _run(arguments: Sequence[str]) -> int:
    for argument in arguments:
        option, _, _ = argument.partition("=")
        if option in _INSTEAD:
            warn(f"{option}: there is none, as others would see the key; {_INSTEAD[option]}")
            return WRONG_USAGE
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        warn(f"{_usage(error)} (--help shows what is allowed)")
        return WRONG_USAGE
    except KeyboardInterrupt:
        if sys.stderr.isatty():  # which shows ^C, behind whatever stood there
            sys.stderr.write("\n")
        warn("interrupted")
        return INTERRUPTED
    except MailChannelsError as error:
        argument, colon, reason = error_text(error).partition(":")
        warn(f"{_option(argument)}{colon}{reason}")
        return exit_code(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        warn(str(error))
        return WRONG_USAGE
    return int(code or 0)
