"""Every Python block of the README runs, and every example script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mailchannels import AsyncDomains, ConnectError, MailChannelsError, RequestTimeout

if TYPE_CHECKING:
    from mailchannels.simulator import Simulator

ROOT = Path(__file__).resolve().parents[1]
BLOCKS: dict[str, str] = dict(
    re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```",
        (ROOT / "README.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


def run(block: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


def test_the_readme_has_no_python_block_that_these_tests_overlook() -> None:
    blocks = (ROOT / "README.md").read_text("utf-8").count("```python")

    assert set(BLOCKS) == {
        "Async",
        "Blocking",
        "FastAPI",
        "A legacy script",
        "Bulk jobs",
        "Jobs that survive",
        "The rest of the API",
        "Errors",
        "`attempt`: errors as values",
        "Speed",
    }
    assert len(BLOCKS) == blocks


def test_the_async_block_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["Async"], capsys) == "xn--bcher-kva.example True\nLoginLink(link='***')\n"


def test_the_blocking_block_lists_the_domain_it_provisioned(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["Blocking"], capsys) == "example.com\n"


def test_the_legacy_script_reports_the_bad_name_alone(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(BLOCKS["A legacy script"], capsys)

    assert out.startswith("input 1: failed: domain: 'not a domain' is not a domain name")
    assert out.count("\n") == 1


def test_the_bulk_block_provisions_all_its_domains(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["Bulk jobs"], capsys) == "1000 provisioned 0 not\n" * 10


def test_the_block_of_jobs_that_survive_accounts_for_all_its_domains(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["Jobs that survive"], capsys) == "10000 succeeded, 0 did not; exit code 0\n"


def test_the_block_of_the_other_modules_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["The rest of the API"], capsys) == (
        "True partner.example\ndemo 1\n2 local_part: 'not a name' contains white space\n"
    )


def test_the_errors_block_says_what_the_api_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BLOCKS["Errors"], capsys).startswith("403 ")


def test_the_attempt_block_prints_the_error_as_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(BLOCKS["`attempt`: errors as values"], capsys).splitlines()

    assert first.startswith("None GET /domains/nobody.example/login-link: 404 ")
    assert second == "False"


def test_the_speed_block_lists_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiohttp", reason="the extra `speed` is not installed")

    assert run(BLOCKS["Speed"], capsys) == "DomainPage(domains=[], total=0)\n"


@pytest.mark.asyncio
async def test_the_fastapi_block_serves(simulator: Simulator, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_API_KEY", simulator.api_key)
    environment.setenv("MAILCHANNELS_BASE_URL", simulator.base_url)
    module: dict[str, Any] = {"__name__": "service"}
    exec(compile(BLOCKS["FastAPI"], "README.md", "exec"), module)
    app = module["app"]

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as visitor,
    ):
        created = await visitor.put("/domains/shop.example")
        again = await visitor.put("/domains/shop.example")
        refused = await visitor.put("/domains/not%20a%20domain")

    assert (created.json(), again.json(), refused.status_code) == ({"created": True}, {"created": False}, 422)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "status"),
    [(RequestTimeout("too late", maybe_applied=False), 503), (ConnectError("nobody there"), 502)],
)
async def test_the_fastapi_block_answers_what_goes_wrong(
    environment: pytest.MonkeyPatch, error: MailChannelsError, status: int
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    environment.setenv("MAILCHANNELS_API_KEY", "demo-key")
    environment.setattr(AsyncDomains, "provision", fail)
    module: dict[str, Any] = {"__name__": "service"}
    exec(compile(BLOCKS["FastAPI"], "README.md", "exec"), module)
    app = module["app"]

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as visitor,
    ):
        answer = await visitor.put("/domains/shop.example")

    assert answer.status_code == status


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_every_example_script_runs(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert (done.returncode, done.stderr) == (0, "")
