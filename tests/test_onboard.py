"""What `examples/onboard.py` leaves behind, and that the login link stays in its file."""

from __future__ import annotations

import asyncio
import runpy
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailchannels import MailChannels

if TYPE_CHECKING:
    from mailchannels.simulator import Simulator

EXAMPLE = runpy.run_path(str(Path(__file__).resolve().parents[1] / "examples" / "onboard.py"))


def run(form: str, *arguments: Any) -> None:
    """Run the example in one of its forms."""
    if form == "awaited":
        asyncio.run(EXAMPLE["onboard_awaited"](*arguments))
    else:
        EXAMPLE["onboard_called"](*arguments)


@pytest.mark.parametrize("form", ["awaited", "called"])
def test_a_customer_is_onboarded(
    form: str, simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(form, simulator, "customer.example", tmp_path)

    out = capsys.readouterr().out
    with MailChannels(simulator.api_key, base_url=simulator.base_url) as client:
        assert client.domains.list_downstream_addresses("customer.example") == [EXAMPLE["MAIL_SERVER"]]
        assert [entry.item for entry in client.domains.list_entries("customer.example", "safelist")] == [
            EXAMPLE["PARTNER"]
        ]
    hybridbox = simulator.state.hybridbox
    assert hybridbox.mailbox_count() == 2
    assert hybridbox.mailbox("jane@customer.example") is not None
    assert "mailbox 2 is not: failed, local_part: 'front desk' contains white space" in out


@pytest.mark.parametrize("form", ["awaited", "called"])
def test_the_login_link_is_in_a_file_of_its_owner_alone_and_printed_nowhere(
    form: str, simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(form, simulator, "customer.example", tmp_path)

    (path,) = tmp_path.iterdir()
    link = path.read_text("utf-8").strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert link.startswith("http")
    assert link not in "".join(capsys.readouterr())


@pytest.mark.parametrize("form", ["awaited", "called"])
def test_a_file_that_is_there_does_not_receive_the_link(form: str, simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "customer.example.txt"
    path.touch()

    with pytest.raises(FileExistsError):
        run(form, simulator, "customer.example", tmp_path)

    assert path.read_text("utf-8") == ""
