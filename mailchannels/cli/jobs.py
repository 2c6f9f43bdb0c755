"""The commands of the group `jobs`: what a journal knows of its job."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

from cyclopts import App, Parameter

from ..jobs.journal import Journal
from ..jobs.report import ErrorFile, ErrorTable
from ..jobs.state import job_state
from .output import say, warn
from .results import state_json, state_text

__all__ = ["app"]

Path = Annotated[str, Parameter(name="PATH", help="The journal.")]

app: App = App(name="jobs", help="Look into the journals of bulk jobs.")


@app.command
def show(
    path: Path,
    /,
    *,
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Print one JSON object.")] = False,
) -> int:
    """Print what a journal knows: which job it belongs to, how far that is, and what is left to do."""
    with closing(Journal(path, is_new_allowed=False)) as journal:
        state = job_state(journal)
    if json:
        sys.stdout.write(state_json(state))
    else:
        for line in state_text(state):
            say(line)
    return 0


@app.command
def errors(
    path: Path,
    /,
    *,
    output: Annotated[str | None, Parameter(metavar="PATH", help="CSV file; default: standard output.")] = None,
) -> int:
    """Write the file of errors anew, as CSV: the rows that did not succeed, which can be given as FILE."""
    with closing(Journal(path, is_new_allowed=False)) as journal:
        if output is None:
            _write(journal, ErrorTable(sys.stdout, journal.columns))
        else:
            with ErrorFile(output, journal.columns, {"PATH": path}) as table:
                _write(journal, table)
        state = job_state(journal)
    undone = state.in_flight + (state.left or 0)
    if undone:
        warn(f"{undone:,} rows have no outcome yet and are left out; the command of the job goes on with them")
    return 0


def _write(journal: Journal, table: ErrorTable) -> None:
    for problem, cells, surplus in journal.problems():
        table.write(cells, problem, surplus)
    table.flush()
