"""The blocking form of `jobs/aio.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from ..jobs.aio import AsyncBulkJob
from ..models import Domain
from ..sync import MailChannelsClient
from .plan import Plan
from .summary import Summary


class BulkJob:
    """Provisions any number of domains, or creates login links for them, and accounts for every row of the input.

    With a journal the job survives whatever ends it: run again with the same arguments, it leaves alone what is done
    and sends the rest. A row counts as done once the journal has its outcome on the disk, and is in the journal before
    it is sent. Neither the API key nor a login link stands in a journal.

    Args:
        client: The client to send through; it stays open.
        source: Where the rows come from: the path of a file (CSV with a column `domain`, one name a line, or JSON Lines
            where its suffix is `.jsonl` or `.ndjson`), `-` for standard input, or any iterable of
            `Domain` or `str`.
        subscription_handle: Provision the domains against this subscription. Either this or `output` is needed.
        output: Create login links and write them, as CSV, to this path, which must not exist, readable by its owner
            alone; `-` is standard output. A job that is resumed appends.
        associate_key: True lets only the client's API key manage the domains from now on; None leaves it out.
        overwrite: True replaces the settings of domains that exist; without it they stay as they are.
        concurrency: Requests under way at most; 16 by default, from 1.
        journal: Path of the journal, made where it does not exist; None, the default, keeps none.
        errors: Path of a CSV file for the rows that did not succeed, in the input's own columns; given as `source`, it
            repeats just these. None, the default, writes none.
        on_progress: Called with the state so far: before anything is sent, after each answer, and every second. It is
            called in the client's event loop and must not wait.

    Raises:
        InvalidInput: An argument cannot be right.

    Example:
        >>> with BulkJob(
        ...     client, "domains.csv", subscription_handle="basic", journal="domains.journal", errors="failed.csv"
        ... ) as job:
        ...     summary = job.run()
        >>> print(summary.succeeded, summary.errors, summary.exit_code())
    """

    def __init__(
        self,
        client: MailChannelsClient,
        source: str | os.PathLike[str] | Iterable[Domain | str],
        *,
        subscription_handle: str | None = None,
        output: str | os.PathLike[str] | None = None,
        associate_key: bool | None = None,
        overwrite: bool | None = None,
        concurrency: int = 16,
        journal: str | os.PathLike[str] | None = None,
        errors: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Summary], object] | None = None,
    ) -> None:
        self._calls = client._calls
        self._aio = AsyncBulkJob(
            self._calls.client,
            self._calls.lend(source),
            subscription_handle=subscription_handle,
            output=output,
            associate_key=associate_key,
            overwrite=overwrite,
            concurrency=concurrency,
            journal=journal,
            errors=errors,
            on_progress=on_progress,
        )

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ignored(self) -> list[str]:
        """Columns or keys of the input that mean nothing; those of JSON Lines show up only while rows are read."""
        return self._aio.ignored

    @property
    def known(self) -> Sequence[str]:
        """Columns or keys of the input that mean something."""
        return self._aio.known

    def open(self) -> None:
        """Open the input; `with` does it.

        Returns:
            None, once a file has been read through, to count its rows and to see that it is UTF-8.

        Raises:
            InvalidInput: The input cannot be read, is empty or not UTF-8, or has no column `domain`.

        Example:
            >>> job.open()
        """
        return self._calls.make_on_event_loop(self._aio.open)

    def plan(self) -> Plan:
        """Read and check every row, ask the subscription for its room, and send nothing that changes anything.

        Returns:
            What a run would do.

        Raises:
            InvalidInput: The subscription is none of those that the client's key has.
            ConfigurationError: The job is not open, or has read its input.

        Example:
            >>> with BulkJob(client, "domains.csv", subscription_handle="basic") as job:
            ...     plan = job.plan()
            >>> print(plan.new, plan.over_quota)

        Calls `GET /subscriptions`.
        """
        return self._calls.make_on_event_loop(self._aio.plan)

    def run(self) -> Summary:
        """Do the job, or what is left of it.

        Returns:
            What came of it, over all runs that its journal knows. Where the job was stopped, by a refused key, a full
            subscription or a full disk, `stopped` says why. An interrupt (Ctrl-C), where this runs in the main thread,
            ends it early: answers under way have 5 seconds to arrive, a second interrupt does not wait for them.

        Raises:
            InvalidInput: A file cannot be used as it is asked for; the journal belongs to another job or to another
                input, or another process uses it. Nothing was sent.
            JournalError: The journal cannot be written. Nothing was sent.
            ConfigurationError: The client cannot send anything, or the job is not open, or has read its input.

        Example:
            >>> with BulkJob(client, ["a.example", "b.example"], subscription_handle="basic") as job:
            ...     summary = job.run()

        Calls `POST /domains/batch` or `POST /domains/batch/login-link`, and `GET /domains` for domains with settings
        that were under way when an earlier run ended.
        """
        return self._calls.make_on_event_loop(self._aio.run)

    def close(self) -> None:
        """Close the input; `with` does it.

        Returns:
            None.

        Example:
            >>> job.close()
        """
        return self._calls.make_on_event_loop(self._aio.aclose)
