"""This package, async, as it comes; only the pace is taken off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailchannels import AsyncDomains, AsyncMailChannels

from ..jobs import Job
from ..workloads import BATCH, KEY, LINK, PAGE, name
from . import AsyncCall, Load, hold, our_data


@asynccontextmanager
async def open_load(job: Job) -> AsyncIterator[Load[AsyncCall]]:
    """Open a client."""
    async with AsyncMailChannels(KEY, base_url=job.base_url, rate_limit=None) as client:
        yield load(client.domains, job)


def load(domains: AsyncDomains, job: Job) -> Load[AsyncCall]:  # noqa: C901  # one for each workload
    """Give the call of a workload."""
    match job.workload:
        case "login-link":

            async def create_login_link() -> None:
                hold((await domains.create_login_link(name(0))).link == LINK)

            return Load(create_login_link)

        case "provision":
            domain = our_data.single_domain()

            async def provision() -> None:
                hold((await domains.provision(domain)).created)

            return Load(provision)

        case "batch-full" | "batch-names":
            batch = our_data.batch(job.workload)

            async def bulk_provision() -> None:
                result = await domains.bulk_provision(batch, subscription_handle=job.workload)
                hold(len(result.successes) == BATCH)

            return Load(bulk_provision)

        case "stream":

            async def bulk_provision_names() -> None:
                result = await domains.bulk_provision(our_data.names(BATCH), subscription_handle=job.workload)
                hold(len(result.successes) == BATCH)

            async def iter_bulk_provision() -> None:
                given = 0
                async for result in domains.iter_bulk_provision(
                    our_data.names(job.names), subscription_handle=job.workload, concurrency=job.concurrency
                ):
                    given += len(result.successes)
                hold(given == job.names)

            return Load(iter_bulk_provision, calls=job.names // BATCH, first=bulk_provision_names)

        case "list-page":

            async def list_page() -> None:
                hold(len((await domains.list(limit=PAGE)).domains) == PAGE)

            return Load(list_page)

    raise ValueError(job.workload)
