"""What is measured: the data that goes out, the answer that comes back, and how often it is done.

Every contender takes its data from here, the server its answers, and the peer fetches its own over HTTP, so that all of
them do the same work. Nothing here knows of a contender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final

Json = Any  # a document: the one thing that no type describes

KEY: Final = "benchmark-key"
ROOT: Final = "/inbound/v1"
BATCH: Final = 1_000
PAGE: Final = 5_000
STREAM: Final = 100_000
LINK: Final = "https://console.example/login?token=0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    Attributes:
        name: What it is called on the command line.
        title: What it is called in the tables and in the chart.
        headline: The concurrency that stands for it in the chart and in a quick run.
        calls: How many calls are measured at each concurrency.
    """

    name: str
    title: str
    headline: int
    calls: Mapping[int, int]


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload("login-link", "login link (GET)", 100, {1: 1_000, 8: 4_000, 10: 800, 100: 3_000}),
        Workload("provision", "provision (POST)", 100, {1: 1_000, 8: 4_000, 10: 800, 100: 3_000}),
        Workload("batch-full", "batch of 1,000, full settings", 10, {1: 20, 8: 32, 10: 120, 100: 100}),
        Workload("batch-names", "batch of 1,000, names only", 10, {1: 30, 8: 64, 10: 60, 100: 120}),
        Workload("stream", "stream of 100,000 names", 10, dict.fromkeys((1, 8, 10, 100), STREAM // BATCH)),
        Workload("list-page", "list page of 5,000", 10, {1: 8, 8: 16, 10: 20, 100: 100}),
    )
}


@dataclass(frozen=True)
class RawRequest:
    """A workload's request, for a contender that knows HTTP and JSON and nothing else.

    Attributes:
        method: The HTTP method.
        path: The path and query below the server's address.
        document: Gives the document to send; None where there is none.
        is_whole: Whether an answer holds what was asked for.
    """

    method: str
    path: str
    document: Callable[[], Json] | None
    is_whole: Callable[[Json], bool]


def raw_request(workload: str) -> RawRequest:
    """Give the request of a workload."""
    match workload:
        case "login-link":
            path = f"{ROOT}/domains/{name(0)}/login-link"
            return RawRequest("GET", path, None, lambda answer: answer["loginLink"] == LINK)
        case "provision":
            domain = {**full_domain(0), "subscriptionHandle": "single"}
            return RawRequest("POST", f"{ROOT}/domains", lambda: domain, lambda answer: answer["domain"] == name(0))
        case "batch-full" | "batch-names":
            batch = {"domains": batch_domains(workload)}
            return RawRequest("POST", batch_path(workload), lambda: batch, _is_whole_batch)
        case "stream":
            names = map(name, count())
            return RawRequest(
                "POST",
                batch_path(workload),
                lambda: {"domains": [{"domain": each} for each in islice(names, BATCH)]},
                _is_whole_batch,
            )
        case "list-page":
            path = f"{ROOT}/domains?limit={PAGE}"
            return RawRequest("GET", path, None, lambda answer: len(answer["domains"]) == PAGE)
    raise ValueError(workload)


def name(number: int) -> str:
    """Give the name of a domain."""
    return f"customer{number:07}.example"


def full_domain(number: int) -> Json:
    """Give a domain with all its settings, in the API's spelling."""
    return {
        "domain": name(number),
        "settings": {
            "abusePolicy": "flag",
            "abusePolicyOverride": False,
            "spamHeaderName": "X-Spam",
            "spamHeaderValue": "yes",
        },
        "admins": [f"owner@{name(number)}", "admin@hosting.example"],
        "downstreamAddresses": [{"priority": 10, "weight": 10, "port": 25, "target": "mx1.hosting.example."}],
        "aliases": [f"www.{name(number)}"],
    }


def batch_domains(workload: str) -> list[Json]:
    """Give the domains of a batch, in the API's spelling."""
    return [full_domain(i) if workload == "batch-full" else {"domain": name(i)} for i in range(BATCH)]


def batch_path(workload: str) -> str:
    """Give where batches go; the subscription tells the server which of them it is."""
    return f"{ROOT}/domains/batch?subscriptionHandle={workload}"


def _is_whole_batch(answer: Json) -> bool:
    return len(answer["successes"]) == BATCH
