"""What goes into a contender's process and what comes out of it: one JSON document each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """What one process is to do.

    Attributes:
        contender: Who does it.
        workload: What is done.
        base_url: The server's address.
        concurrency: Calls under way at once.
        calls: Calls that are measured.
        warm_up: Calls before that, after a first one that is timed; the peer warms up for a time instead.
        names: How many names a stream has.
    """

    contender: str
    workload: str
    base_url: str
    concurrency: int
    calls: int
    warm_up: int
    names: int


@dataclass(frozen=True)
class Result:
    """What one process measured; times in seconds, memory in bytes.

    Attributes:
        calls: Calls measured; of a stream, its batches.
        wall: How long they took together.
        cpu: What they cost the process, all its threads together.
        p50: How long a call took; None for a client that turns a stream into calls itself.
        p99: The same, of the slowest in a hundred.
        peak_memory: The most memory the process ever had; None where the system does not tell.
        construction: How long it took to make the client.
        first_call: How long the first call took.
    """

    calls: int
    wall: float
    cpu: float
    p50: float | None
    p99: float | None
    peak_memory: int | None
    construction: float
    first_call: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.wall

    @property
    def cpu_per_call(self) -> float:
        """Seconds of CPU a call."""
        return self.cpu / self.calls

    @property
    def wall_per_call(self) -> float:
        """Seconds a call, as long as they are made one after the other."""
        return self.wall / self.calls
