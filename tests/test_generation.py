"""The blocking surface is generated from the async one: nothing in it is stale, missing, foreign or edited."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

import mailchannels
from mailchannels import _codegen

if TYPE_CHECKING:
    from pathlib import Path

SOURCES: Final = _codegen.read(_codegen.FROM)
COMMITTED: Final = _codegen.read(_codegen.TO)
PAIRS: Final[dict[str, tuple[type, type]]] = {
    name: (getattr(mailchannels, name), getattr(mailchannels, name.removeprefix("Async")))
    for name in mailchannels.__all__
    if name.startswith("Async")
}


@pytest.fixture(autouse=True, scope="module")
def _formatted_once() -> Any:
    """The formatter is a process of its own: let it run once for each text."""
    formatted, kept = _codegen._formatted, dict[str, str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_codegen, "_formatted", lambda text: kept.get(text) or kept.setdefault(text, formatted(text)))
        yield


# --- the folder


def test_there_is_something_to_generate_from() -> None:
    assert {"aio/__init__.py", "aio/client.py", "aio/domains.py", "hybridbox/aio.py", "jobs/aio.py"} <= SOURCES.keys()


def test_the_committed_files_are_what_generation_gives() -> None:
    assert _codegen.generate(SOURCES) == COMMITTED


def test_nothing_differs_from_what_generation_gives() -> None:
    assert _codegen.differences(SOURCES, COMMITTED) == []


def test_the_program_says_so_too() -> None:
    done = subprocess.run(
        [sys.executable, "mailchannels/_codegen.py", "--check"],
        cwd=_codegen.HERE.parent, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_stale_file_is_reported() -> None:
    changed = SOURCES | {"aio/domains.py": SOURCES["aio/domains.py"].replace("Provision one", "Provision a single")}

    assert _codegen.differences(changed, COMMITTED) == ["sync/domains.py: is not what its async counterpart gives"]


def test_a_missing_file_is_reported() -> None:
    fewer = {name: text for name, text in COMMITTED.items() if name != "sync/client.py"}

    assert _codegen.differences(SOURCES, fewer) == ["sync/client.py: is missing"]


def test_a_foreign_file_is_reported() -> None:
    more = COMMITTED | {"sync/extra.py": ""}

    assert _codegen.differences(SOURCES, more) == ["sync/extra.py: has no async counterpart"]


@pytest.mark.parametrize("addition", ["# mine\n", " ", "\n"])
def test_an_edited_file_is_reported_to_the_character(addition: str) -> None:
    edited = COMMITTED | {"sync/domains.py": COMMITTED["sync/domains.py"] + addition}

    assert _codegen.differences(SOURCES, edited) == ["sync/domains.py: is not what its async counterpart gives"]


def test_everything_that_differs_is_reported() -> None:
    committed = {**COMMITTED, "sync/domains.py": "", "sync/extra.py": ""}
    del committed["sync/client.py"]

    assert len(_codegen.differences(SOURCES, committed)) == 3


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders for the command to work on."""
    for name in ("aio", "sync", "hybridbox", "jobs"):
        shutil.copytree(_codegen.HERE / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_codegen, "HERE", tmp_path)
    return tmp_path


def test_the_check_passes_where_nothing_differs(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _codegen.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_the_check_names_what_differs_and_mends_nothing(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "sync" / "domains.py").write_text("")

    assert _codegen.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("sync/domains.py: is not what its async counterpart gives; run: ")
    assert (package / "sync" / "domains.py").read_text() == ""


def test_the_command_mends_whatever_differs(package: Path) -> None:
    (package / "sync" / "extra.py").write_text("")
    (package / "sync" / "client.py").unlink()
    (package / "sync" / "domains.py").write_text("")

    assert _codegen.main([]) == 0
    assert _codegen.read(_codegen.TO) == COMMITTED


# --- the text


SMALL: Final = '''
"""A module."""
from __future__ import annotations
from collections.abc import AsyncGenerator
from ..inputs import AnyIterable
from .client import AsyncClient

_hidden = 1

class AsyncThings:
    """All the things.

    Example:
        >>> things = AsyncThings(AsyncClient("key"))
    """

    def __init__(self, client: AsyncClient) -> None:
        self._transport = client._transport

    async def get(self, name: str, *, timeout: float | None = None) -> str:
        """Get one.

        Example:
            >>> async with client: await things.get("a")
        """
        return await self._transport.send(name)

    async def iter_get(self, names: AnyIterable[str], *, size: int = 1) -> AsyncGenerator[str, None]:
        """Get any from an iterable or async iterable."""
        async for name in names:
            yield name

    async def all(self, names: AnyIterable[str]) -> list[str]:
        """Get all."""
        return [name async for name in self.iter_get(names)]

    async def _private(self) -> None:
        """Stay behind."""
'''
CLIENT: Final = '''
"""Clients."""
from .things import AsyncThings

class AsyncClient:
    """What clients have in common."""

    def __init__(self, address: str) -> None:
        self._address = address

class AsyncOne(AsyncClient):
    """A client."""

    def __init__(self, key: str, *, size: int = 1) -> None:
        super().__init__(key)
        self.things: AsyncThings = AsyncThings(self)
'''


JOB: Final = '''
"""Jobs."""
from .client import AsyncClient

class AsyncJob:
    """A job."""

    def __init__(self, client: AsyncClient, source: object, *, size: int = 1) -> None:
        self._source = source

    async def run(self) -> int:
        """Run."""
        return 1

    async def aclose(self) -> None:
        """Close."""
'''


@pytest.mark.parametrize(
    "line",
    [
        "class Job:",
        "    def __init__(self, client: Client, source: object, *, size: int = 1) -> None:",
        "        self._calls = client._calls",
        "        self._aio = AsyncJob(self._calls.client, self._calls.lend(source), size=size)",
        "        return self._calls.make_on_event_loop(self._aio.run)",
        "    def close(self) -> None:",
        "        return self._calls.make_on_event_loop(self._aio.aclose)",
    ],
)
def test_a_generated_job_has_a_state_of_its_own_and_this_line(line: str) -> None:
    job = _codegen.generate({"aio/job.py": JOB, "aio/client.py": CLIENT, "aio/things.py": SMALL})["sync/job.py"]

    assert line in job.splitlines()


@pytest.fixture
def small() -> str:
    return _codegen.generate({"aio/things.py": SMALL, "aio/client.py": CLIENT})["sync/things.py"]


@pytest.fixture
def clients() -> str:
    return _codegen.generate({"aio/things.py": SMALL, "aio/client.py": CLIENT})["sync/client.py"]


@pytest.mark.parametrize(
    "line",
    [
        "from ..aio.things import AsyncThings",
        "from .client import Client",
        "from collections.abc import Generator, Iterable",
        "class Things:",
        '        >>> things = Things(Client("key"))',
        "    def __init__(self, client: Client) -> None:",
        "        self._calls = client._calls",
        "    def get(self, name: str, *, timeout: float | None = None) -> str:",
        '            >>> with client: things.get("a")',
        "        return self._calls.make(self._aio.get, name, timeout=timeout)",
        "        return self._calls.make_on_event_loop(self._aio.all, names)",
        "    def iter_get(self, names: Iterable[str], *, size: int = 1) -> Generator[str, None, None]:",
        '        """Get any from an iterable."""',
        "        return self._calls.iterate(self._aio.iter_get, names, size=size)",
        "        return AsyncThings(self._calls.client)",
    ],
)
def test_the_generated_text_has_this_line(small: str, line: str) -> None:
    assert line in small.splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "from ..aio.client import AsyncClient, AsyncOne",
        "    _calls: Calls[AsyncClient]",
        "class One(Client):",
        "    _calls: Calls[AsyncOne]",
        "    def __init__(self, key: str, *, size: int = 1) -> None:",
        "        self._calls = Calls(lambda: AsyncOne(key, size=size))",
        "        self.things: Things = Things(self)",
    ],
)
def test_a_generated_client_has_this_line(clients: str, line: str) -> None:
    assert line in clients.splitlines()


def test_the_root_of_the_generated_clients_opens_nothing(clients: str) -> None:
    root = clients.partition("class One")[0]

    assert "def __init__" not in root


@pytest.mark.parametrize("word", ["_hidden", "_private", "await", "async ", "AnyIterable", "_transport"])
def test_the_generated_text_leaves_this_behind(small: str, word: str) -> None:
    assert word not in small


# --- the classes


def _counterpart(name: str) -> str:
    return {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}.get(name, name)


def _own(cls: type) -> dict[str, Any]:
    """Public and special members that a class defines itself, methods and properties."""
    return {
        name: member.fget if isinstance(member, property) else member
        for name, member in vars(cls).items()
        if inspect.isfunction(member) or (isinstance(member, property) and not name.startswith("_"))
        if not name.startswith("_") or name.startswith("__")
    }


MEMBERS: Final = [
    pytest.param(asynchronous, blocking, name, id=f"{cls}.{name}")
    for cls, (asynchronous, blocking) in PAIRS.items()
    for name in _own(asynchronous)
]


def _shape(function: Any) -> list[tuple[str, object, object, str]]:
    signature = inspect.signature(function)
    return [
        *((p.name, p.kind, p.default, str(p.annotation)) for p in signature.parameters.values()),
        ("return", None, None, str(signature.return_annotation)),
    ]


def _plain(annotation: str) -> str:
    """What the annotation of an async method becomes in the blocking one."""
    plain = annotation.replace("AnyIterable[", "Iterable[").replace("AsyncMailChannels", "MailChannels")
    if not plain.startswith("AsyncGenerator["):
        return plain
    return f"{plain.removeprefix('Async').removesuffix(']')}, None]"


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS.values(), ids=PAIRS)
def test_the_blocking_class_has_the_methods_of_the_async_one(asynchronous: type, blocking: type) -> None:
    assert _own(blocking).keys() == {_counterpart(name) for name in _own(asynchronous)}


@pytest.mark.parametrize(("asynchronous", "blocking", "name"), MEMBERS)
def test_a_blocking_method_has_the_signature_of_the_async_one(asynchronous: type, blocking: type, name: str) -> None:
    expected = [(*rest, _plain(annotation)) for *rest, annotation in _shape(_own(asynchronous)[name])]

    assert _shape(_own(blocking)[_counterpart(name)]) == expected


@pytest.mark.parametrize(("asynchronous", "blocking", "name"), MEMBERS)
def test_a_blocking_method_returns_no_coroutine(asynchronous: type, blocking: type, name: str) -> None:
    method = _own(blocking)[_counterpart(name)]

    assert not inspect.iscoroutinefunction(method)
    assert not inspect.isasyncgenfunction(method)


@pytest.mark.parametrize(("asynchronous", "blocking", "name"), MEMBERS)
def test_a_blocking_method_is_explained_as_the_async_one_is(asynchronous: type, blocking: type, name: str) -> None:
    ours, theirs = (inspect.getdoc(function) or "" for function in (
        _own(blocking)[_counterpart(name)], _own(asynchronous)[name],
    ))  # fmt: skip

    assert len(ours.splitlines()) == len(theirs.splitlines())
    assert not {"await", "async", "aclose"} & set(ours.split())
