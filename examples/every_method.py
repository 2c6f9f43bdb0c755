"""Call every method of the domains module, first async, then blocking, against the embedded simulator.

Run it with `python examples/every_method.py`.
"""

import asyncio

from mailchannels import AsyncMailChannels, Domain, DomainSettings, DownstreamAddress, MailChannels
from mailchannels.simulator import Simulator

MAIL_SERVER = DownstreamAddress(priority=10, weight=10, port=25, target="mx1.hosting.example.")


async def every_method_awaited(simulator: Simulator) -> None:
    """Go through the methods and the iterators with the async client."""
    async with AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client:
        domains = client.domains

        stored = await domains.provision(
            Domain(
                "async.example",
                subscription_handle=simulator.subscription,
                settings=DomainSettings(abuse_policy="quarantine"),
                admins=["postmaster@async.example"],
            )
        )
        print("provision:", stored.domain, "created" if stored.created else "was there")

        result = await domains.bulk_provision(
            (f"async-{number}.example" for number in range(2_500)), subscription_handle=simulator.subscription
        )
        print("bulk_provision:", len(result.successes), "succeeded,", len(result.errors), "did not")

        more = (f"more-{number}.example" for number in range(2_500))
        async for part in domains.iter_bulk_provision(more, subscription_handle=simulator.subscription):
            print("iter_bulk_provision:", len(part.successes), "succeeded")

        page = await domains.list(limit=3)
        print("list:", [domain.domain for domain in page.domains], "of", page.total)
        print("iter_list:", len([domain async for domain in domains.iter_list()]), "domains")

        entry = await domains.add_list_entry("async.example", "safelist", "partner.example")
        print("add_list_entry:", entry)
        print("list_entries:", await domains.list_entries("async.example", "safelist"))
        await domains.delete_list_entry("async.example", "safelist", "partner.example")
        print("delete_list_entry:", await domains.list_entries("async.example", "safelist"))

        print("create_login_link:", await domains.create_login_link("async.example"))
        links = await domains.bulk_create_login_links(["async.example", "async-1.example", "nobody.example"])
        print("bulk_create_login_links:", len(links.successes), "links;", links.errors[0].comment)
        async for part_of_links in domains.iter_bulk_create_login_links(["async-2.example", "async-3.example"]):
            print("iter_bulk_create_login_links:", len(part_of_links.successes), "links")

        print("set_downstream_address:", await domains.set_downstream_address("async.example", [MAIL_SERVER]))
        print("list_downstream_addresses:", await domains.list_downstream_addresses("async.example"))
        async for address in domains.iter_list_downstream_addresses("async.example"):
            print("iter_list_downstream_addresses:", address.target)

        await domains.update_settings("async.example", DomainSettings(spam_header_name="X-Spam"))
        page = await domains.list(domains=["async.example"])
        print("update_settings:", page.domains[0].settings)

        print("create_alias:", await domains.create_alias("async.example", "async-too.example"))
        await domains.delete_alias("async.example", "async-too.example")
        print("delete_alias: async-too.example is gone")

        await domains.delete("async-1.example")
        print("delete:", (await domains.list(domains=["async-1.example"])).total, "left")
        await domains.update_api_key("async-2.example", "another-key")
        print("update_api_key: async-2.example now belongs to another key")


def every_method_called(simulator: Simulator) -> None:
    """Go through the methods and the iterators with the blocking client."""
    with MailChannels(simulator.api_key, base_url=simulator.base_url) as client:
        domains = client.domains

        stored = domains.provision(
            Domain(
                "blocking.example",
                subscription_handle=simulator.subscription,
                settings=DomainSettings(abuse_policy="quarantine"),
                admins=["postmaster@blocking.example"],
            )
        )
        print("provision:", stored.domain, "created" if stored.created else "was there")

        result = domains.bulk_provision(
            (f"blocking-{number}.example" for number in range(2_500)), subscription_handle=simulator.subscription
        )
        print("bulk_provision:", len(result.successes), "succeeded,", len(result.errors), "did not")

        more = (f"much-more-{number}.example" for number in range(2_500))
        for part in domains.iter_bulk_provision(more, subscription_handle=simulator.subscription):
            print("iter_bulk_provision:", len(part.successes), "succeeded")

        page = domains.list(limit=3)
        print("list:", [domain.domain for domain in page.domains], "of", page.total)
        print("iter_list:", len(list(domains.iter_list())), "domains")

        entry = domains.add_list_entry("blocking.example", "safelist", "partner.example")
        print("add_list_entry:", entry)
        print("list_entries:", domains.list_entries("blocking.example", "safelist"))
        domains.delete_list_entry("blocking.example", "safelist", "partner.example")
        print("delete_list_entry:", domains.list_entries("blocking.example", "safelist"))

        print("create_login_link:", domains.create_login_link("blocking.example"))
        links = domains.bulk_create_login_links(["blocking.example", "blocking-1.example", "nobody.example"])
        print("bulk_create_login_links:", len(links.successes), "links;", links.errors[0].comment)
        for part_of_links in domains.iter_bulk_create_login_links(["blocking-2.example", "blocking-3.example"]):
            print("iter_bulk_create_login_links:", len(part_of_links.successes), "links")

        print("set_downstream_address:", domains.set_downstream_address("blocking.example", [MAIL_SERVER]))
        print("list_downstream_addresses:", domains.list_downstream_addresses("blocking.example"))
        for address in domains.iter_list_downstream_addresses("blocking.example"):
            print("iter_list_downstream_addresses:", address.target)

        domains.update_settings("blocking.example", DomainSettings(spam_header_name="X-Spam"))
        page = domains.list(domains=["blocking.example"])
        print("update_settings:", page.domains[0].settings)

        print("create_alias:", domains.create_alias("blocking.example", "blocking-too.example"))
        domains.delete_alias("blocking.example", "blocking-too.example")
        print("delete_alias: blocking-too.example is gone")

        domains.delete("blocking-1.example")
        print("delete:", domains.list(domains=["blocking-1.example"]).total, "left")
        domains.update_api_key("blocking-2.example", "another-key")
        print("update_api_key: blocking-2.example now belongs to another key")


if __name__ == "__main__":
    with Simulator() as simulator:
        print("— async —")
        asyncio.run(every_method_awaited(simulator))
        print("— blocking —")
        every_method_called(simulator)
