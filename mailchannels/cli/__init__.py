"""The command line: it parses, prints and exits, and leaves the work to `jobs` and the clients.

This file is where a run begins. It imports nothing of the extra `cli`, so that it can say what is missing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_EXTRA: Final = {"cyclopts", "rich"}
_WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 all succeeded; 1 some items failed, or their settings were not applied; 2 wrong usage or input,
        nothing was sent; 3 only retryable ones are left; 4 stopped, because the key was refused, a quota reached or a
        file could not be written; 130 interrupted; 143 terminated. A question that is answered no gives 1.

    Example:
        >>> main(["domains", "provision", "domains.csv", "--subscription", "demo", "--dry-run"])
    """
    try:
        from .app import run  # noqa: PLC0415  # needs the extra, which may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write('mailchannels: the command line needs more: pip install "mailchannels-sdk[cli]"\n')
        return _WRONG_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("\n" * sys.stderr.isatty() + "mailchannels: interrupted\n")
        return _INTERRUPTED
    return run(sys.argv[1:] if arguments is None else list(arguments))
