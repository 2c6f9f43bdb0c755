"""The domains module as a table, without its lists."""

from __future__ import annotations

from typing import Final

import httpx

from mailchannels import (
    Alias,
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    Domain,
    DomainPage,
    DomainSettings,
    DownstreamAddress,
    LoginLink,
    Outcome,
    ProvisionedDomain,
)

from .case import Case

LINK: Final = "https://console.example/login?token=t0k3n"

FULL: Final = Domain(
    "example.com",
    subscription_handle="basic",
    settings=DomainSettings("flag", abuse_policy_override=True, spam_header_name="X-Spam", spam_header_value="yes"),
    admins=["root@example.com"],
    downstream_addresses=[DownstreamAddress(priority=10, weight=20, port=25, target="mx.example.net.")],
    aliases=["alias.example"],
)
SECTIONS: Final = {
    "settings": {
        "abusePolicy": "flag",
        "abusePolicyOverride": True,
        "spamHeaderName": "X-Spam",
        "spamHeaderValue": "yes",
    },
    "admins": ["root@example.com"],
    "downstreamAddresses": [{"priority": 10, "weight": 20, "port": 25, "target": "mx.example.net."}],
    "aliases": ["alias.example"],
}
STORED: Final = {"domain": "example.com", "subscriptionHandle": "basic", **SECTIONS}
RECORDS: Final = {"records": SECTIONS["downstreamAddresses"]}

PROVISIONED: Final = BulkProvisionItem(
    index=0, domain=FULL, code=201, comment=None, outcome=Outcome.SUCCEEDED, settings_applied=True
)
LINKED: Final = BulkLoginLinkItem(index=0, domain="example.com", code=200, login_link=LINK, outcome=Outcome.SUCCEEDED)
BATCH: Final = {
    "target": "/domains/batch?subscriptionHandle=basic&associate-key=true&overwrite=false",
    "operation": "POST /domains/batch",
    "body": {
        "domains": [{"domain": "example.com", **SECTIONS, "downstreamAddress": SECTIONS["downstreamAddresses"]}],
    },
    "answer": httpx.Response(200, json={"successes": [{"domain": STORED, "code": 201}], "errors": None}),
    "failures": (400, 403, 500),
}
LINKS: Final = {
    "target": "/domains/batch/login-link",
    "operation": "POST /domains/batch/login-link",
    "body": {"domains": [{"domain": "example.com"}]},
    "answer": httpx.Response(200, json={"successes": [{"domain": "example.com", "code": 200, "loginLink": LINK}]}),
    "failures": (400, 500),
}

CASES: Final = [
    Case(
        name="domains.provision",
        call=lambda client: client.domains.provision(FULL, associate_key=True, overwrite=False),
        operation="POST /domains",
        target="/domains?associate-key=true&overwrite=false",
        body=STORED,
        answer=httpx.Response(201, json=STORED),
        value=ProvisionedDomain(
            FULL.domain,
            FULL.subscription_handle,
            FULL.settings,
            FULL.admins,
            FULL.downstream_addresses,
            FULL.aliases,
            created=True,
        ),
        failures=(400, 403, 409, 500),
    ),
    Case(
        name="domains.bulk_provision",
        call=lambda client: client.domains.bulk_provision(
            [FULL], subscription_handle="basic", associate_key=True, overwrite=False
        ),
        value=BulkProvisionResult([PROVISIONED]),
        **BATCH,  # type: ignore[arg-type]
    ),
    Case(
        name="domains.iter_bulk_provision",
        call=lambda client: client.domains.iter_bulk_provision(
            [FULL], subscription_handle="basic", associate_key=True, overwrite=False
        ),
        value=[BulkProvisionResult([PROVISIONED])],
        **BATCH,  # type: ignore[arg-type]
    ),
    Case(
        name="domains.list",
        call=lambda client: client.domains.list(domains=["b.example", "a.example"], limit=50, offset=100),
        operation="GET /domains",
        target="/domains?domains=b.example,a.example&limit=50&offset=100",
        body=None,
        answer=httpx.Response(200, json={"domains": [STORED], "total": 7}),
        value=DomainPage([FULL], 7),
        failures=(400, 500),
    ),
    Case(
        name="domains.iter_list",
        call=lambda client: client.domains.iter_list(),
        operation="GET /domains",
        target="/domains?limit=1000&offset=0",
        body=None,
        answer=httpx.Response(200, json={"domains": [STORED], "total": 1}),
        value=[FULL],
        failures=(400, 500),
    ),
    Case(
        name="domains.delete",
        call=lambda client: client.domains.delete("example.com"),
        operation="DELETE /domains/{domain}",
        target="/domains/example.com",
        body=None,
        answer=httpx.Response(204),
        value=None,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.create_login_link",
        call=lambda client: client.domains.create_login_link("example.com"),
        operation="GET /domains/{domain}/login-link",
        target="/domains/example.com/login-link",
        body=None,
        answer=httpx.Response(200, json={"loginLink": LINK}),
        value=LoginLink(LINK),
        failures=(400, 401, 403, 404, 500),
    ),
    Case(
        name="domains.set_downstream_address",
        call=lambda client: client.domains.set_downstream_address("example.com", FULL.downstream_addresses or []),
        operation="PUT /domains/{domain}/downstream-address",
        target="/domains/example.com/downstream-address",
        body=RECORDS,
        answer=httpx.Response(201, json=RECORDS),
        value=FULL.downstream_addresses,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.list_downstream_addresses",
        call=lambda client: client.domains.list_downstream_addresses("example.com", limit=5, offset=2),
        operation="GET /domains/{domain}/downstream-address",
        target="/domains/example.com/downstream-address?limit=5&offset=2",
        body=None,
        answer=httpx.Response(200, json=RECORDS),
        value=FULL.downstream_addresses,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.iter_list_downstream_addresses",
        call=lambda client: client.domains.iter_list_downstream_addresses("example.com"),
        operation="GET /domains/{domain}/downstream-address",
        target="/domains/example.com/downstream-address?limit=100&offset=0",
        body=None,
        answer=httpx.Response(200, json=RECORDS),
        value=FULL.downstream_addresses,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.update_api_key",
        call=lambda client: client.domains.update_api_key("example.com", "the-new-key"),
        operation="PUT /domains/{domain}/api-key",
        target="/domains/example.com/api-key",
        body={"apiKey": "the-new-key"},
        answer=httpx.Response(204),
        value=None,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.bulk_create_login_links",
        call=lambda client: client.domains.bulk_create_login_links(["example.com"]),
        value=BulkLoginLinkResult([LINKED]),
        **LINKS,  # type: ignore[arg-type]
    ),
    Case(
        name="domains.iter_bulk_create_login_links",
        call=lambda client: client.domains.iter_bulk_create_login_links(["example.com"]),
        value=[BulkLoginLinkResult([LINKED])],
        **LINKS,  # type: ignore[arg-type]
    ),
    Case(
        name="domains.create_alias",
        call=lambda client: client.domains.create_alias("example.com", "alias.example"),
        operation="POST /domains/{domain}/alias/{alias}",
        target="/domains/example.com/alias/alias.example",
        body=None,
        answer=httpx.Response(200, json={"domain": STORED, "alias": "alias.example"}),
        value=Alias(FULL, "alias.example"),
        failures=(400, 403, 404, 409, 500),
    ),
    Case(
        name="domains.delete_alias",
        call=lambda client: client.domains.delete_alias("example.com", "alias.example"),
        operation="DELETE /domains/{domain}/alias/{alias}",
        target="/domains/example.com/alias/alias.example",
        body=None,
        answer=httpx.Response(204),
        value=None,
        failures=(400, 403, 404, 500),
    ),
    Case(
        name="domains.update_settings",
        call=lambda client: client.domains.update_settings(
            "example.com",
            DomainSettings("flag"),
            admins=["root@example.com"],
            downstream_addresses=FULL.downstream_addresses,
            aliases=["alias.example"],
            reset=["spam_header_name", "spam_header_value"],
        ),
        operation="PUT /domains/{domain}/settings",
        target="/domains/example.com/settings",
        body={
            "abusePolicy": "flag",
            "spamHeaderName": None,
            "spamHeaderValue": None,
            "admins": ["root@example.com"],
            "downstreamAddresses": SECTIONS["downstreamAddresses"],
            "aliases": ["alias.example"],
        },
        answer=httpx.Response(200),
        value=None,
        failures=(400, 403, 404, 500),
    ),
]
