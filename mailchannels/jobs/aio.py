"""A bulk job as a program uses it: the one door to what the other files of this room do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import anyio.to_thread

from .. import checks
from ..aio import AsyncDomains, AsyncMailChannelsClient, AsyncService
from ..errors import ConfigurationError, InvalidInput, MailChannelsError
from ..inputs import AnyIterable
from ..models import BulkLoginLinkItem, BulkLoginLinkResult, BulkProvisionItem, BulkProvisionResult, Domain
from .given import Given
from .journal import Journal
from .kinds import DOMAINS
from .lookup import applied
from .plan import PER_REQUEST, Plan, ask_quota, checked_domain, plan
from .report import ErrorFile, LinkFile, is_same_file
from .run import Run
from .source import Source, open_source
from .summary import Summary, tell_nobody
from .threads import in_daemon_thread


class AsyncBulkJob:
    """Provisions any number of domains, or creates login links for them, and accounts for every row of the input.

    With a journal the job survives whatever ends it: run again with the same arguments, it leaves alone what is done
    and sends the rest. A row counts as done once the journal has its outcome on the disk, and is in the journal before
    it is sent. Neither the API key nor a login link stands in a journal.

    Args:
        client: The client to send through; it stays open.
        source: Where the rows come from: the path of a file (CSV with a column `domain`, one name a line, or JSON Lines
            where its suffix is `.jsonl` or `.ndjson`), `-` for standard input, or any iterable or async iterable of
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
        >>> async with AsyncBulkJob(
        ...     client, "domains.csv", subscription_handle="basic", journal="domains.journal", errors="failed.csv"
        ... ) as job:
        ...     summary = await job.run()
        >>> print(summary.succeeded, summary.errors, summary.exit_code())
    """

    def __init__(
        self,
        client: AsyncMailChannelsClient,
        source: str | os.PathLike[str] | AnyIterable[Domain | str],
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
        if (subscription_handle is None) == (output is None):
            raise InvalidInput(
                "subscription_handle", "either this is needed, to provision, or output, to create login links; not both"
            )
        if subscription_handle is not None:
            checks.handle("subscription_handle", subscription_handle)
        elif associate_key is not None or overwrite is not None:
            raise InvalidInput("output", "login links take neither associate_key nor overwrite")
        self._client = client
        self._domains = AsyncDomains(client)
        self._given = os.fspath(source) if isinstance(source, os.PathLike) else source
        self._subscription_handle = subscription_handle
        self._output = None if output is None else os.fspath(output)
        self._associate_key = checks.flag("associate_key", associate_key)
        self._overwrite = checks.flag("overwrite", overwrite)
        self._concurrency = checks.whole_number("concurrency", concurrency, at_least=1)
        self._journal = None if journal is None else os.fspath(journal)
        self._errors = None if errors is None else os.fspath(errors)
        self._on_progress = on_progress or tell_nobody
        self._source: Source[Domain | str] | None = None
        self._is_used = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def ignored(self) -> list[str]:
        """Columns or keys of the input that mean nothing; those of JSON Lines show up only while rows are read."""
        return [] if self._source is None else [*self._source.ignored]

    @property
    def known(self) -> Sequence[str]:
        """Columns or keys of the input that mean something."""
        return [] if self._source is None else self._source.known

    async def open(self) -> None:
        """Open the input; `async with` does it.

        Returns:
            None, once a file has been read through, to count its rows and to see that it is UTF-8.

        Raises:
            InvalidInput: The input cannot be read, is empty or not UTF-8, or has no column `domain`.

        Example:
            >>> await job.open()
        """
        given = self._given
        self._source = (
            await in_daemon_thread(lambda: open_source(given, DOMAINS)) if isinstance(given, str) else Given(given)
        )

    async def plan(self) -> Plan:
        """Read and check every row, ask the subscription for its room, and send nothing that changes anything.

        Returns:
            What a run would do.

        Raises:
            InvalidInput: The subscription is none of those that the client's key has.
            ConfigurationError: The job is not open, or has read its input.

        Example:
            >>> async with AsyncBulkJob(client, "domains.csv", subscription_handle="basic") as job:
            ...     plan = await job.plan()
            >>> print(plan.new, plan.over_quota)

        Calls `GET /subscriptions`.
        """
        source = self._used()
        with ExitStack() as files:
            made = await plan(
                source,
                checked_domain(self._subscription_handle),
                per_request=PER_REQUEST,
                rate_limit=self._client.present_rate,
                on_progress=self._on_progress,
                errors=self._error_file(source, files),
            )
        if self._subscription_handle is not None:
            try:
                made.quota = await ask_quota(AsyncService(self._client), self._subscription_handle)
            except InvalidInput:
                raise
            except MailChannelsError as error:
                made.trouble = error
        return made

    async def run(self) -> Summary:
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
            >>> async with AsyncBulkJob(client, ["a.example", "b.example"], subscription_handle="basic") as job:
            ...     summary = await job.run()

        Calls `POST /domains/batch` or `POST /domains/batch/login-link`, and `GET /domains` for domains with settings
        that were under way when an earlier run ended.
        """
        source = self._used()
        with ExitStack() as files:
            errors = self._error_file(source, files)
            journal = None if self._journal is None else await self._open_journal(self._journal, source, files)
            if self._output is not None:
                resumed_at = None if journal is None or not journal.is_resumed else journal.output_size
                links = files.enter_context(LinkFile(self._output, resumed_at=resumed_at))
                linking = Run[Domain | str, BulkLoginLinkItem](
                    self._client, source, self._on_progress, journal=journal, errors=errors, links=links
                )
                return await linking.go(self._create_login_links)
            provisioning = Run[Domain | str, BulkProvisionItem](
                self._client,
                source,
                self._on_progress,
                journal=journal,
                errors=errors,
                look_up=lambda rows: applied(self._domains, rows),
            )
            return await provisioning.go(self._provision)

    async def aclose(self) -> None:
        """Close the input; `async with` does it.

        Returns:
            None.

        Example:
            >>> await job.aclose()
        """
        if self._source is not None:
            self._source.close()

    def _used(self) -> Source[Domain | str]:
        if self._source is None or self._is_used:
            raise ConfigurationError("a job is opened, by `with`, and reads its input once; make another one")
        self._is_used = True
        return self._source

    def _error_file(self, source: Source[Domain | str], files: ExitStack) -> ErrorFile | None:
        if self._errors is None:
            return None
        others = {"FILE": source.file, "--output": self._output, "--journal": self._journal}
        return files.enter_context(ErrorFile(self._errors, source.columns, others))

    async def _open_journal(self, path: str, source: Source[Domain | str], files: ExitStack) -> Journal:
        for called, other in {"FILE": source.file, "--output": self._output}.items():
            if other is not None and is_same_file(path, other):
                raise InvalidInput("--journal", f"{path!r} is {called} itself; give another path")
        content = await anyio.to_thread.run_sync(source.fingerprint)
        journal = Journal(path)
        files.callback(journal.close)
        journal.belong(self._identity(source, content), source.columns, source.total)
        return journal

    def _identity(self, source: Source[Domain | str], content: str | None) -> dict[str, Any]:
        return {
            "kind": "provisioning" if self._output is None else "login links",
            "source": "a file" if content is not None else "standard input" if source.file == "-" else "a program",
            "content": content,
            "file": None if source.file is None else os.path.realpath(source.file),
            "base_url": self._client.base_url,
            "subscription_handle": self._subscription_handle,
            "associate_key": self._associate_key,
            "overwrite": self._overwrite,
            "output": self._output if self._output in {None, "-"} else os.path.realpath(self._output),
        }

    def _provision(self, domains: AsyncIterable[Domain | str]) -> AsyncIterator[BulkProvisionResult]:
        assert self._subscription_handle is not None  # noqa: S101  # as __init__ held
        return self._domains.iter_bulk_provision(
            domains,
            subscription_handle=self._subscription_handle,
            associate_key=self._associate_key,
            overwrite=self._overwrite,
            concurrency=self._concurrency,
        )

    def _create_login_links(self, domains: AsyncIterable[Domain | str]) -> AsyncIterator[BulkLoginLinkResult]:
        async def names() -> AsyncIterator[str]:
            async for domain in domains:
                yield DOMAINS.name(domain)

        return self._domains.iter_bulk_create_login_links(names(), concurrency=self._concurrency)
