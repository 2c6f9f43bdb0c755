"""The users module as a table, without its lists."""

from __future__ import annotations

from typing import Final

import httpx

from mailchannels import User

from .case import Case
from .lists import ENTRY, LISTED

RECIPIENT: Final = {"email_address": "jane@example.com", "roles": ["user"], "filter": True}
MADE: Final = {"recipient": RECIPIENT, "list_entries": [ENTRY]}

CASES: Final = [
    Case(
        name="users.create",
        call=lambda client: client.users.create(
            "jane@example.com",
            admin=True,
            filter="compute",
            list_entries={"safelist": ["a@example.net"], "blocklist": ["203.0.113.7", "spam.example"]},
        ),
        operation="PUT /users",
        target="/users?email_address=jane%40example.com&admin=true&filter=compute",
        body={"list_entries": {"safelist": ["a@example.net"], "blocklist": ["203.0.113.7", "spam.example"]}},
        answer=httpx.Response(201, json=MADE),
        value=User("jane@example.com", roles=["user"], filter=True, list_entries=[LISTED], created=True),
        failures=(400, 403, 500),
    ),
]
