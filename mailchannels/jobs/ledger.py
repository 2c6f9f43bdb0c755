"""What comes of rows: first into the journal, then into the counts and the file of errors that people see.

Login links are written, down to the disk where there is a journal, before their rows count as done. It knows nothing
of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from attrs import define, evolve, field

from ..models import Outcome
from .database import JournalError
from .journal import NEW, PROBLEM, SUCCEEDED, THERE, Entry
from .summary import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .journal import Journal
    from .report import ErrorFile, LinkFile
    from .rows import Row
    from .summary import Summary

__all__ = ["Account", "Ledger", "Settled"]


@define
class Account:
    """What came of one row, in full.

    Attributes:
        row: The row.
        state: A state of the journal.
        problem: What there is to tell; None where the row simply succeeded.
        again: Whether it is to be sent again when the job is resumed.
        link: Its login link; None where there is none.
    """

    row: Row[Any]
    state: int = SUCCEEDED
    problem: Problem | None = None
    again: bool = False
    link: str | None = field(default=None, repr=False)

    @classmethod
    def of_problem(
        cls,
        row: Row[Any],
        outcome: str,
        reason: str,
        *,
        code: int | str | None = None,
        retryable: bool = True,
        invalid: bool = False,
        attempts: int = 0,
    ) -> Account:
        """Say that a row did not succeed; what may not have been applied is sent again, unless it never can be."""
        problem = Problem(row.line, row.name, outcome, code, retryable, reason, row.attempts + attempts, invalid)
        return cls(row, PROBLEM, problem, again=retryable or outcome != Outcome.FAILED)


@define
class Settled:
    """What came of rows.

    Attributes:
        simply: Those that simply succeeded: nearly all of a million.
        states: The state of the journal for each of these.
        accounts: All others.
    """

    simply: list[Row[Any]] = field(factory=list)
    states: bytearray = field(factory=bytearray)
    accounts: list[Account] = field(factory=list)

    def __len__(self) -> int:
        return len(self.simply) + len(self.accounts)

    @property
    def all_states(self) -> bytes:
        """The states of all, those of the accounts last."""
        return bytes(self.states) + bytes([account.state for account in self.accounts])

    def succeed(self, row: Row[Any], state: int) -> None:
        """Take in a row that simply succeeded."""
        self.simply.append(row)
        self.states.append(state)

    def add(self, other: Settled) -> None:
        """Take in what came of other rows."""
        self.simply += other.simply
        self.states += other.states
        self.accounts += other.accounts


class Ledger:
    """Keeps and shows what comes of rows.

    Args:
        summary: Where they are counted.
        columns: The input's own columns.
        stop: Called with the reason when something cannot be written; nothing may be sent from then on.
        journal: Where they are kept; None where they are not.
        errors: Where those that did not simply succeed are reported; None where they are not.
        links: Where login links are written; None where there are none.
    """

    def __init__(
        self,
        summary: Summary,
        columns: Sequence[str],
        stop: Callable[[str], None],
        *,
        journal: Journal | None = None,
        errors: ErrorFile | None = None,
        links: LinkFile | None = None,
    ) -> None:
        self._summary = summary
        self._columns = columns
        self._stop = stop
        self._journal = journal
        self._errors = errors
        self._links = links
        self._one_at_a_time = anyio.Lock()

    def recall(self) -> None:
        """Count and report what the journal knows from earlier runs and will not be done again."""
        if self._journal is None:
            return
        counts = self._journal.counts()
        self._summary.created = counts[NEW]
        self._summary.already_there = counts[THERE]
        self._summary.succeeded = counts[NEW] + counts[THERE] + counts[SUCCEEDED]
        for problem, cells, surplus in self._journal.problems(final=True):
            self._show(problem, cells, surplus)
        self._flush()
        self._summary.resumed = self._summary.done

    async def settle(self, settled: Settled) -> None:
        """Keep what came of rows, and then show it.

        Raises:
            BrokenPipeError: Whoever reads the links stopped reading.
        """
        if not settled:
            return
        async with self._one_at_a_time:
            settled = await self._kept(await self._with_links_written(settled))
        states = settled.all_states
        self._summary.succeeded += len(states) - states.count(PROBLEM)
        self._summary.created += states.count(NEW)
        self._summary.already_there += states.count(THERE)
        for account in settled.accounts:
            if account.problem is not None:
                self._show(account.problem, account.row.cells, account.row.surplus)
        self._flush()

    async def _with_links_written(self, settled: Settled) -> Settled:
        links = self._links
        written = [(account.row.name, account.link) for account in settled.accounts if account.link is not None]
        if links is None or not written:
            return settled
        try:
            if self._journal is None:
                links.write(written)
            else:
                await anyio.to_thread.run_sync(lambda: links.write(written, durably=True))
        except BrokenPipeError:
            raise
        except OSError as error:
            why = error.strerror or str(error)
            self._stop(f"--output could not be written: {why}")
            reason = f"its link could not be written: {why}"
            accounts = [account if account.link is None else _lost(account, reason) for account in settled.accounts]
            return evolve(settled, accounts=accounts)
        return settled

    async def _kept(self, settled: Settled) -> Settled:
        journal = self._journal
        if journal is None:
            return settled
        positions = [row.position for row in settled.simply]
        positions += [account.row.position for account in settled.accounts]
        entries = [
            Entry(account.row.position, account.problem, self._cells(account.row), account.row.surplus, account.again)
            for account in settled.accounts
            if account.problem is not None
        ]
        try:
            size = 0 if self._links is None else self._links.size
            await journal.keep(positions, settled.all_states, entries, size)
        except JournalError as error:
            self._stop(str(error))
            accounts = [Account(row, state) for row, state in zip(settled.simply, settled.states, strict=True)]
            accounts += settled.accounts
            reason = "its answer came, but could not be kept in the journal"
            return Settled(accounts=[_lost(account, reason) for account in accounts])
        return settled

    def _cells(self, row: Row[Any]) -> dict[str, str]:
        cells = row.cells
        return {column: cells[column] for column in self._columns if cells.get(column)}

    def _show(self, problem: Problem, cells: Mapping[str, str], surplus: Sequence[str]) -> None:
        self._summary.add(problem)
        if self._errors is not None:
            try:
                self._errors.write(cells, problem, surplus)
            except OSError as error:
                self._give_up_errors(error)

    def _flush(self) -> None:
        if self._errors is not None:
            try:
                self._errors.flush()
            except OSError as error:
                self._give_up_errors(error)

    def _give_up_errors(self, error: OSError) -> None:
        self._errors = None
        self._stop(f"--errors could not be written: {error.strerror or error}")


def _lost(account: Account, reason: str) -> Account:
    """Take back that a row was answered; what was not sent, or never will be, stays what it is."""
    problem = account.problem
    if problem is not None and (problem.invalid or problem.outcome == Outcome.NOT_SENT):
        return account
    attempts = account.row.attempts + 1 if problem is None else problem.attempts
    lost = Problem(account.row.line, account.row.name, Outcome.UNKNOWN, None, True, reason, attempts)
    return evolve(account, state=PROBLEM, problem=lost, again=True, link=None)
