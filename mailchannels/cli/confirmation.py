"""What is asked before anything is deleted."""

from __future__ import annotations

import sys
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from ..errors import ConfigurationError
from ..jobs.summary import printable
from .output import warn

__all__ = ["Yes", "is_agreed"]

Yes: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--yes",
        negative="",
        show_default=False,
        help="Do not ask; needed where there is no terminal. Answering no gives exit code 1.",
    ),
]


def is_agreed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal whether to delete; elsewhere only `--yes` agrees, and its absence is wrong usage."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError("--yes: is needed to delete where nobody can be asked; nothing was sent")
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D: what comes next would stand behind the question
        sys.stderr.write("\n")
    if answer.strip().lower() in {"y", "yes"}:
        return True
    warn("nothing was deleted")
    return False
