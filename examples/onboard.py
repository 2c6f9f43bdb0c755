"""Onboard a new customer end to end, first async, then blocking, against the embedded simulator.

Provision the domain with its mail server, create its mailboxes in bulk, let a partner's mail through, and hand out the
link that logs the customer in as the domain's administrator. Run it with `python examples/onboard.py`.
"""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from mailchannels import AsyncMailChannels, Domain, DownstreamAddress, LoginLink, MailChannels
from mailchannels.hybridbox import AsyncHybridBox, BulkMailboxResult, HybridBox, NewMailbox
from mailchannels.simulator import Simulator

MAIL_SERVER = DownstreamAddress(priority=10, weight=10, port=25, target="mx1.hosting.example.")
PARTNER = "newsletter@partner.example"
STAFF = [
    NewMailbox("jane", "Jane", "Doe"),
    NewMailbox("john", "John", "Doe"),
    NewMailbox("front desk", "Front", "Desk"),  # refused before anything is sent: no local part has spaces
]


async def onboard_awaited(simulator: Simulator, name: str, folder: Path) -> None:
    """Onboard a customer with the async clients."""
    async with (
        AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client,
        AsyncHybridBox(
            simulator.hybridbox_account, simulator.hybridbox_token, base_url=simulator.base_url
        ) as hybridbox,
    ):
        stored = await client.domains.provision(
            Domain(name, subscription_handle=simulator.subscription, downstream_addresses=[MAIL_SERVER])
        )
        print(stored.domain, "is provisioned")
        report(await hybridbox.mailboxes.bulk_create(STAFF, domain=name))
        entry = await client.domains.add_list_entry(name, "safelist", PARTNER)
        print(entry.item, "is on the", entry.action)
        hand_out(await client.domains.create_login_link(name), folder / f"{name}.txt")


def onboard_called(simulator: Simulator, name: str, folder: Path) -> None:
    """Onboard a customer with the blocking clients."""
    with (
        MailChannels(simulator.api_key, base_url=simulator.base_url) as client,
        HybridBox(simulator.hybridbox_account, simulator.hybridbox_token, base_url=simulator.base_url) as hybridbox,
    ):
        stored = client.domains.provision(
            Domain(name, subscription_handle=simulator.subscription, downstream_addresses=[MAIL_SERVER])
        )
        print(stored.domain, "is provisioned")
        report(hybridbox.mailboxes.bulk_create(STAFF, domain=name))
        entry = client.domains.add_list_entry(name, "safelist", PARTNER)
        print(entry.item, "is on the", entry.action)
        hand_out(client.domains.create_login_link(name), folder / f"{name}.txt")


def report(result: BulkMailboxResult) -> None:
    """Say which mailboxes there are now, and why there are not more."""
    for item in result.created:
        if item.mailbox is not None:
            print(item.mailbox.primary_email, "is created")
    for item in result.failed:
        print(f"mailbox {item.index} is not: {item.outcome}, {item.comment}")


def hand_out(link: LoginLink, path: Path) -> None:
    """Write a login link to a new file that its owner alone can read: whoever has the link is logged in."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{link.link}\n")
    print(link, "is in", path.name, "for the customer alone")  # a link is masked wherever it is printed


if __name__ == "__main__":
    with Simulator() as simulator, TemporaryDirectory() as folder:
        print("— async —")
        asyncio.run(onboard_awaited(simulator, "async.example", Path(folder)))
        print("— blocking —")
        onboard_called(simulator, "blocking.example", Path(folder))
