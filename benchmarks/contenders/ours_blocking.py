"""This package, blocking, as it comes; only the pace is taken off. Its threads share one client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailchannels import Domains, MailChannels

from ..jobs import Job
from ..workloads import BATCH, KEY, LINK, PAGE, name
from . import BlockingCall, Load, hold, our_data


@contextmanager
def open_load(job: Job) -> Iterator[Load[BlockingCall]]:
    """Open a client."""
    with MailChannels(KEY, base_url=job.base_url, rate_limit=None) as client:
        yield load(client.domains, job)


def load(domains: Domains, job: Job) -> Load[BlockingCall]:  # noqa: C901  # one for each workload
    """Give the call of a workload."""
    match job.workload:
        case "login-link":

            def create_login_link() -> None:
                hold(domains.create_login_link(name(0)).link == LINK)

            return Load(create_login_link)

        case "provision":
            domain = our_data.single_domain()

            def provision() -> None:
                hold(domains.provision(domain).created)

            return Load(provision)

        case "batch-full" | "batch-names":
            batch = our_data.batch(job.workload)

            def bulk_provision() -> None:
                result = domains.bulk_provision(batch, subscription_handle=job.workload)
                hold(len(result.successes) == BATCH)

            return Load(bulk_provision)

        case "stream":

            def bulk_provision_names() -> None:
                result = domains.bulk_provision(our_data.names(BATCH), subscription_handle=job.workload)
                hold(len(result.successes) == BATCH)

            def iter_bulk_provision() -> None:
                given = 0
                for result in domains.iter_bulk_provision(
                    our_data.names(job.names), subscription_handle=job.workload, concurrency=job.concurrency
                ):
                    given += len(result.successes)
                hold(given == job.names)

            return Load(iter_bulk_provision, calls=job.names // BATCH, first=bulk_provision_names)

        case "list-page":

            def list_page() -> None:
                hold(len(domains.list(limit=PAGE).domains) == PAGE)

            return Load(list_page)

    raise ValueError(job.workload)
