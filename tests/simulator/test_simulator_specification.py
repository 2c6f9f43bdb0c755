"""Every operation of the vendor's specification is answered, and fails as it says."""

import json
import re

import pytest

from mailchannels.simulator import Faults, Simulator

from .conftest import SPECIFICATION, Matches, client_of

SEGMENTS = {"domain": "example.com", "alias": "alias.com", "email": "a@example.com", "listname": "safelist"}


@pytest.fixture
def operations() -> list[tuple[str, str]]:
    """Each operation as its method and a path."""
    if not SPECIFICATION.exists():
        pytest.skip("the vendor's specification is not at hand")
    paths = json.loads(SPECIFICATION.read_text())["paths"]
    return [
        (method, re.sub(r"\{(\w+)\}", lambda match: SEGMENTS[match[1]], path))
        for path, methods in paths.items()
        for method in methods
    ]


def test_every_operation_wants_a_key(simulator: Simulator, operations: list[tuple[str, str]]) -> None:
    with client_of(simulator, "wrong-key") as client:
        statuses = {(method, path): client.request(method, path).status_code for method, path in operations}

    assert len(statuses) == 25
    assert statuses == dict.fromkeys(statuses, 401)


def test_every_operation_may_fail(operations: list[tuple[str, str]], matches_specification: Matches) -> None:
    with Simulator(faults=Faults.parse("status=500")) as simulator, client_of(simulator) as client:
        for method, path in operations:
            if path != "/status":  # which promises nothing but a 200
                failed = client.request(method, path)
                assert (failed.status_code, failed.json()["code"]) == (500, 500)
                matches_specification(failed)


def test_subscriptions_may_be_of_an_unknown_customer(matches_specification: Matches) -> None:
    with Simulator(faults=Faults.parse("status=404")) as simulator, client_of(simulator) as client:
        response = client.get("/subscriptions")

    assert (response.status_code, response.json()["code"]) == (404, 404)
    matches_specification(response)
