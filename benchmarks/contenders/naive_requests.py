"""requests with its own JSON, one call after the other: the script that most people write first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from ..jobs import Job
from ..workloads import KEY, raw_request
from . import BlockingCall, Load, hold


@contextmanager
def open_load(job: Job) -> Iterator[Load[BlockingCall]]:
    """Open a session."""
    request = raw_request(job.workload)
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY

        def call() -> None:
            document = None if request.document is None else request.document()
            response = session.request(request.method, job.base_url + request.path, json=document, timeout=60)
            response.raise_for_status()
            hold(request.is_whole(response.json()))

        yield Load(call)
