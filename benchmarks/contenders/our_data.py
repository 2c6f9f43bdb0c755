"""The data of the workloads as this package has it."""

from __future__ import annotations

from collections.abc import Iterator

from mailchannels import Domain, DomainSettings, DownstreamAddress

from ..workloads import BATCH, name


def full_domain(number: int) -> Domain:
    """Give a domain with all its settings."""
    return Domain(
        name(number),
        settings=DomainSettings(
            abuse_policy="flag", abuse_policy_override=False, spam_header_name="X-Spam", spam_header_value="yes"
        ),
        admins=[f"owner@{name(number)}", "admin@hosting.example"],
        downstream_addresses=[DownstreamAddress(priority=10, weight=10, port=25, target="mx1.hosting.example.")],
        aliases=[f"www.{name(number)}"],
    )


def single_domain() -> Domain:
    """Give the domain that is provisioned alone."""
    domain = full_domain(0)
    domain.subscription_handle = "single"
    return domain


def batch(workload: str) -> list[Domain | str]:
    """Give a batch, as domains or as names."""
    return [full_domain(i) if workload == "batch-full" else name(i) for i in range(BATCH)]


def names(number: int) -> Iterator[str]:
    """Give names, one at a time."""
    return map(name, range(number))
