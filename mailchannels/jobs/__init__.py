"""Bulk jobs that survive: rows in, requests out, a journal of both, and a report that accounts for every row.

A job prints nothing and knows no terminal; whoever starts it hands in a client, a source and where results go.
"""

from typing import TYPE_CHECKING

from .aio import AsyncBulkJob
from .database import JournalError
from .plan import Plan, Quota
from .summary import Problem, Summary

if TYPE_CHECKING:
    from .sync import BulkJob

__all__ = ["AsyncBulkJob", "BulkJob", "JournalError", "Plan", "Problem", "Quota", "Summary"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # The blocking half is imported when it is asked for, as in the package itself.
        if name != "BulkJob":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .sync import BulkJob  # noqa: PLC0415

        return BulkJob
