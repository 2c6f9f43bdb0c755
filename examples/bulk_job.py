"""Runs a bulk job that survives, from Python, awaited and blocking, against a simulator of its own.

The subscription has room for 2,000 domains at first, so that the first run is stopped; once it has room for more, the
same job takes up where its journal says. Leave out the simulator, with what names it, to run it against MailChannels.
"""

import asyncio
import csv
import tempfile
from pathlib import Path

from mailchannels import AsyncMailChannels, MailChannels
from mailchannels.jobs import AsyncBulkJob, BulkJob, Summary
from mailchannels.simulator import Simulator


def tell(title: str, summary: Summary) -> None:
    """Print what came of a run; `exit_code` is what the command line would end with."""
    print(f"{title}: {summary.succeeded:,} of {summary.done:,} succeeded, {summary.resumed:,} of them before")
    print(f"  failed {dict(summary.failed)}, invalid {summary.invalid}, not sent {summary.not_sent:,}", end="")
    print(f"; {summary.requests} requests; exit code {summary.exit_code()}")
    if summary.stopped:
        print(f"  stopped: {summary.stopped}")


async def provision(client: AsyncMailChannels, folder: Path) -> Summary:
    """Provision the domains of a file; whatever ends this, calling it again takes it up."""
    async with AsyncBulkJob(
        client,
        folder / "domains.csv",
        subscription_handle="demo",
        journal=folder / "domains.journal",
        errors=folder / "failed.csv",
    ) as job:
        return await job.run()


async def awaited(simulator: Simulator, folder: Path) -> None:
    """Plan the job, run it until the subscription is full, and resume it."""
    async with AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client:
        async with AsyncBulkJob(client, folder / "domains.csv", subscription_handle="demo") as job:
            plan = await job.plan()
        print(f"plan: {plan.new:,} domains in {plan.requests} requests; {plan.summary.invalid} invalid,", end=" ")
        print(f"{plan.repeats} duplicate, {plan.over_quota:,} more than there is room for")

        tell("first run", await provision(client, folder))
        simulator.state.set_domain_limit("demo", 10_000)
        tell("second run", await provision(client, folder))

    with (folder / "failed.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            print(f"  line {row['line']}, customer {row['customer']}: {row['reason']}")


def blocking(simulator: Simulator, folder: Path) -> None:
    """Create login links for names from anywhere, such as a database cursor, and watch it."""
    names = (f"customer-{number}.example" for number in range(2_500))
    with (
        MailChannels(simulator.api_key, base_url=simulator.base_url) as client,
        BulkJob(
            client,
            names,
            output=folder / "links.csv",
            journal=folder / "links.journal",
            on_progress=lambda summary: print(f"  {summary.done:,} links"),
        ) as job,
    ):
        tell("login links", job.run())


def main() -> None:
    """Run both, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name, Simulator(domain_limit=2_000) as simulator:
        folder = Path(name)
        rows = [f"customer-{number}.example,{number}" for number in range(3_000)]
        rows[1_234] = "not a domain,1234"
        (folder / "domains.csv").write_text("\n".join(["domain,customer", *rows]), "utf-8")
        asyncio.run(awaited(simulator, folder))
        blocking(simulator, folder)


if __name__ == "__main__":
    main()
