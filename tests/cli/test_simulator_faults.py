"""The simulator's command goes wrong on demand."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mailchannels import MailChannels, ServerError

from .conftest import Cli, start

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="a process cannot be asked to end here")


@contextmanager
def simulator(*options: str) -> Iterator[dict[str, Any]]:
    """Run the command in a process of its own and give its first line."""
    with start("simulator", "--port", "0", *options) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.communicate()


def test_the_simulator_has_the_faults_that_the_command_names() -> None:
    with (
        simulator("--faults", "status=500:first=1,method=DELETE; redirect=https://a.example/:path=/users") as about,
        MailChannels(about["api_key"], base_url=about["base_url"], max_retries=0) as client,
    ):
        assert client.domains.list().total == 0
        with pytest.raises(ServerError, match="a fault of the simulator"):
            client.domains.delete("a.example")
        answer = httpx.put(
            f"{about['base_url']}/inbound/v1/users?email_address=a@b.example", headers={"X-API-Key": about["api_key"]}
        )

    assert (answer.status_code, answer.headers["location"]) == (307, "https://a.example/")


def test_without_faults_nothing_goes_wrong() -> None:
    with simulator() as about, MailChannels(about["api_key"], base_url=about["base_url"], max_retries=0) as client:
        assert [client.domains.list().total for _ in range(5)] == [0] * 5


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("earthquake", "there is no fault 'earthquake'"),
        ("status", "the fault status needs a value"),
        ("status=99", "must be a number from 200 to 599"),
        ("drip:interval=fast", "interval of the fault"),
        ("stall:sometimes=1", "cannot be read"),
    ],
)
def test_a_fault_that_is_none_is_a_wrong_use_and_names_the_option(
    specification: str, said: str, mailchannels: Cli
) -> None:
    run = mailchannels("simulator", "--port", "0", "--faults", specification)

    assert run.code == 2
    assert run.out == ""
    assert "--faults: " in run.err
    assert said in run.err
