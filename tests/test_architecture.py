"""Who may import whom, what an import costs, and what every public name comes with."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from specification import needs_specification, operations

import mailchannels
from mailchannels import (
    AsyncDomains,
    AsyncLists,
    AsyncMailChannels,
    AsyncService,
    AsyncUsers,
    Domains,
    Lists,
    MailChannels,
    Service,
    Users,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PACKAGE: Final = Path(mailchannels.__file__).parent
SURFACE: Final = "__init__"

# A room is a module or a package directly below `mailchannels`; its own files may always import one another.
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "_version": set(),
    "_codegen": set(),
    "errors": set(),
    "models": {"errors"},
    "names": {"errors"},
    "attempt": {"errors"},
    "secrecy": set(),
    "misfit": {"models"},
    "conversion": {"misfit", "models"},
    "wire": {"errors", "models", "misfit", "conversion", "secrecy"},
    "checks": {"errors", "models", "names"},
    "bodies": set(),
    "environment": {"errors"},
    "messages": set(),
    "watch": set(),
    "refusals": {"errors", "messages"},
    "connecting": {"messages"},
    "failures": {"errors", "messages"},
    "bell": set(),
    "network": {"bell", "secrecy", "watch"},
    "streams": {"network"},
    "which_loop": set(),
    "direct": {"streams", "which_loop"},
    "connections": {"errors", "bodies", "connecting", "direct", "environment", "failures", "messages", "watch"},
    "inline": set(),
    "lines": {"errors", "bell", "bodies", "environment", "failures", "inline", "messages", "network", "watch"},
    "speed": {"errors", "connections", "environment", "watch"},
    "pacing": {"errors"},
    "forkable": set(),
    "event_loop": {"errors", "forkable"},
    "caller": {"inputs"},
    "blocking": {"errors", "caller", "event_loop", "inline", "secrecy"},
    "answers": {"collector", "wire", "messages", "refusals"},
    "transport": {"errors", "answers", "checks", "inline", "messages", "pacing", "refusals", "watch"},
    "configuration": {"errors", "checks", "connections", "lines", "pacing", "secrecy", "transport", "_version"},
    "background": {"errors", "which_loop"},
    "verdicts": {"errors", "models"},
    "columns": {"verdicts"},
    "repeats": {"errors", "models", "columns", "verdicts"},
    "operation": {"models", "columns", "verdicts"},
    "intake": {"errors", "models", "columns", "operation", "repeats", "verdicts"},
    "inputs": set(),
    "collector": set(),
    "allocator": set(),
    "bulk": {"errors", "models", "background", "columns", "inputs", "intake", "operation", "verdicts"},
    "echoes": {"wire"},
    "fragments": {"errors", "models", "names", "wire", "checks", "columns"},
    "batches": {
        "errors", "models", "names", "wire", "checks", "allocator", "background", "bulk", "collector", "columns",
        "echoes", "fragments", "inputs", "operation", "pacing", "transport", "verdicts",
    },
    "entries": {"models", "wire", "checks", "transport"},
    "aio": {
        "errors", "models", "names", "wire", "checks", "inputs", "batches", "entries", "repeats", "pacing",
        "connections", "messages", "transport", "configuration", "secrecy",
    },
    "hybridbox": {
        "errors", "models", "names", "wire", "checks", "columns", "inputs", "operation", "repeats", "verdicts",
        "batches", "pacing", "connections", "transport", "configuration", "secrecy", "aio", "sync", "blocking",
    },
    "sync": {"aio", "blocking", "models", "errors", "connections", "pacing", "secrecy"},
    SURFACE: {"aio", "sync", "attempt", "errors", "models", "pacing", "_version"},
    "simulator": set(),
    "jobs": {
        SURFACE, "aio", "sync", "inputs", "batches", "fragments", "errors", "models", "names", "checks", "wire",
        "hybridbox",
    },
    "cli": {SURFACE, "jobs", "aio", "sync", "errors", "models", "simulator", "hybridbox"},
    "__main__": {"cli"},
}  # fmt: skip
ONLY_IN: Final = {
    "httpx": {"connections.py", "direct.py", "environment.py", "lines.py", "speed.py"},
    "httpcore": {"direct.py", "lines.py", "network.py", "streams.py"},
    "aiohttp": {"speed.py"},
    "yarl": {"speed.py"},
    "cyclopts": {"cli"},
    "rich": {"cli"},
    "starlette": {"simulator"},
    "uvicorn": {"simulator"},
}
FILES: Final = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imports(source: str, file: str, *, of_types: bool = False) -> set[str]:
    """Every module that a file imports, absolute, as `package.module` or `package.module.name`."""
    here = ("mailchannels", *Path(file).parts)
    found: set[str] = set()
    for node in _nodes(ast.parse(source), of_types=of_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def _nodes(node: ast.AST, *, of_types: bool) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children: list[ast.AST] = [*(node.body if of_types else []), *node.orelse]
    else:
        yield node
        children = [*ast.iter_child_nodes(node)]
    for child in children:
        yield from _nodes(child, of_types=of_types)


def room_of(file: str) -> str:
    return Path(file).parts[0].removesuffix(".py")


ROOMS: Final = {room_of(file) for file in FILES}


def rooms(imported: set[str]) -> set[str]:
    """The rooms among what is imported; a name of the package itself is of its surface."""
    ours = [name.split(".") for name in imported if name.split(".")[0] == "mailchannels"]
    return {parts[1] if len(parts) > 1 and parts[1] in ROOMS else SURFACE for parts in ours}


def text_of(file: str) -> str:
    return (PACKAGE / file).read_text("utf-8")


# --- who imports whom


@pytest.mark.parametrize(
    ("source", "file", "expected"),
    [
        ("import mailchannels", "a.py", {SURFACE}),
        ("import mailchannels.wire", "a.py", {"wire"}),
        ("from mailchannels import Domain", "a.py", {SURFACE}),
        ("from mailchannels.errors import NotFound", "a.py", {"errors"}),
        ("from . import checks, __version__", "a.py", {"checks", SURFACE}),
        ("from .models.bulk import Outcome", "a.py", {"models"}),
        ("from .. import wire", "aio/a.py", {"wire"}),
        ("from ..names import x", "aio/a.py", {"names"}),
        ("from .client import x", "aio/a.py", {"aio"}),
        ("def f():\n  from .cli import main", "a.py", {"cli"}),
        ("try:\n  pass\nexcept E:\n  from . import sync", "a.py", {"sync"}),
        ("if TYPE_CHECKING:\n  from .sync import x\nelse:\n  from .aio import x", "a.py", {"aio"}),
        ("import httpx, os.path", "a.py", set()),
    ],
)
def test_imports_are_read_wherever_they_stand(source: str, file: str, expected: set[str]) -> None:
    assert rooms(imports(source, file)) == expected


def test_every_room_has_its_rules() -> None:
    assert ROOMS - MAY_IMPORT.keys() == set()


def test_the_rules_go_in_one_direction() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_from_the_rooms_it_may(file: str) -> None:
    imported = rooms(imports(text_of(file), file)) - {room_of(file)}

    assert imported <= MAY_IMPORT[room_of(file)]


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) == "simulator"])
def test_the_simulator_imports_nothing_of_ours_not_even_types(file: str) -> None:
    assert rooms(imports(text_of(file), file, of_types=True)) <= {"simulator"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_by_its_one_room_only(library: str) -> None:
    importing = {
        file for file in FILES for name in imports(text_of(file), file, of_types=True) if name.split(".")[0] == library
    }

    assert {file for file in importing if not {file, room_of(file)} & ONLY_IN[library]} == set()


EXTRAS: Final = {"cyclopts", "rich", "starlette", "uvicorn", "trio", "aiohttp", "yarl", "uvloop"}


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_importing_the_package_imports_nothing_of_the_extras() -> None:
    # httpx itself imports rich where that is installed.
    code = "import sys, httpx; was = {*sys.modules}; from mailchannels import *; print(*sorted({*sys.modules} - was))"

    imported = {name.partition(".")[0] for name in _python(code).split()}

    assert {"mailchannels", "attrs", "orjson"} <= imported
    assert imported & EXTRAS == set()


def test_a_module_is_imported_when_it_is_asked_for() -> None:
    code = "import mailchannels, sys; print('mailchannels.models' in sys.modules, mailchannels.models.__name__)"

    assert _python(code) == "False mailchannels.models\n"


def test_the_package_needs_none_of_the_extras() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS})); from mailchannels import *; print(Domains.__name__)"
    )

    assert _python(code) == "Domains\n"


# --- what public names come with


def test_what_is_exported_is_sorted_and_there() -> None:
    assert mailchannels.__all__ == sorted(mailchannels.__all__)
    assert [name for name in mailchannels.__all__ if not hasattr(mailchannels, name)] == []


def test_whatever_looks_public_is_exported() -> None:
    public = {name for name, value in vars(mailchannels).items() if name[0] != "_" and not inspect.ismodule(value)}

    assert public - {"TYPE_CHECKING", "Final", "import_module"} <= set(mailchannels.__all__)


def test_every_public_name_is_there_and_is_listed() -> None:
    assert {name for name in mailchannels.__all__ if hasattr(mailchannels, name)} == {*mailchannels.__all__}
    assert {*mailchannels.__all__} <= {*dir(mailchannels)}
    assert mailchannels.models.Domain is mailchannels.Domain


def test_a_name_is_imported_at_run_time_from_where_a_type_checker_finds_it() -> None:
    seen_by_type_checkers = {
        f"{node.module}.{alias.name}"
        for node in _nodes(ast.parse(text_of("__init__.py")), of_types=True)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    at_run_time = {f"{home}.{name}" for home, names in mailchannels._NAMES.items() for name in names}

    assert at_run_time <= seen_by_type_checkers
    assert seen_by_type_checkers - at_run_time == {
        f"{home}.{name}"
        for home, name in (entry.split(".") for entry in seen_by_type_checkers)
        if home in {"_version", "attempt", "errors"}
    }


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mailchannels' has no attribute 'Domian'"):
        getattr(mailchannels, "Domian")  # noqa: B009


@pytest.mark.parametrize("name", [name for name in mailchannels.__all__ if name != "__version__"])
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(mailchannels, name)

    if inspect.isclass(value) or inspect.isfunction(value):
        assert vars(value).get("__doc__") or (inspect.isfunction(value) and value.__doc__)
    else:
        assert name in _documented_constants()


def _documented_constants() -> set[str]:
    """Names that are given a value with a docstring below it."""
    found: set[str] = set()
    for file in FILES:
        body = ast.parse(text_of(file)).body
        for node, below in pairwise(body):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _is_text(below):
                found.add(node.target.id)
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def public_methods(module: type) -> dict[str, Any]:
    return {name: method for name, method in vars(module).items() if name[0] != "_" and callable(method)}


MODULES: Final[dict[type, type]] = {AsyncDomains: Domains, AsyncLists: Lists, AsyncUsers: Users, AsyncService: Service}
NAMES: Final[dict[type, set[str]]] = {
    AsyncDomains: {
        "provision",
        "bulk_provision",
        "iter_bulk_provision",
        "list",
        "iter_list",
        "delete",
        "add_list_entry",
        "list_entries",
        "delete_list_entry",
        "create_login_link",
        "bulk_create_login_links",
        "iter_bulk_create_login_links",
        "set_downstream_address",
        "list_downstream_addresses",
        "iter_list_downstream_addresses",
        "update_api_key",
        "create_alias",
        "delete_alias",
        "update_settings",
    },
    AsyncLists: {"add_list_entry", "list_entries", "delete_list_entry"},
    AsyncUsers: {"create", "add_list_entry", "list_entries", "delete_list_entry"},
    AsyncService: {"status", "subscriptions", "report"},
}
METHODS: Final = {
    f"{module.__name__}.{name}": method
    for pair in MODULES.items()
    for module in pair
    for name, method in public_methods(module).items()
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@pytest.mark.parametrize(("module", "twin"), MODULES.items())
def test_a_module_and_its_twin_have_exactly_their_methods(module: type, twin: type) -> None:
    assert public_methods(module).keys() == public_methods(twin).keys() == NAMES[module]


@pytest.mark.parametrize(("client", "modules"), [(AsyncMailChannels, MODULES.keys()), (MailChannels, MODULES.values())])
def test_a_client_has_every_module_attached(
    client: type[AsyncMailChannels | MailChannels], modules: Collection[type]
) -> None:
    opened = client("key")

    assert {type(value) for name, value in vars(opened).items() if name[0] != "_"} == {*modules}


@each_method
def test_every_method_takes_a_timeout(method: Any) -> None:
    timeout = inspect.signature(method).parameters["timeout"]

    assert (timeout.kind, timeout.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert timeout.annotation == "float | None"


@pytest.mark.parametrize(("module", "twin"), MODULES.items())
def test_a_method_is_a_coroutine_and_what_iterates_a_generator_and_neither_is_in_the_twin(
    module: type, twin: type
) -> None:
    for name, method in public_methods(module).items():
        is_kind = inspect.isasyncgenfunction if name.startswith("iter_") else inspect.iscoroutinefunction
        assert is_kind(method), name
        assert not is_kind(public_methods(twin)[name]), name


@pytest.mark.parametrize("module", [AsyncDomains, Domains])
@pytest.mark.parametrize("name", ["bulk_provision", "bulk_create_login_links"])
def test_a_bulk_call_that_iterates_takes_what_the_other_takes(module: type, name: str) -> None:
    waiting, iterating = (inspect.signature(getattr(module, prefix + name)) for prefix in ("", "iter_"))

    assert iterating.parameters == waiting.parameters


@pytest.mark.parametrize("section", ["Args:\n", "Returns:\n", "Raises:\n", "Example:\n    >>> ", "Endpoint: `"])
@each_method
def test_every_docstring_has_every_section(method: Any, section: str) -> None:
    assert f"\n\n{section}" in (inspect.getdoc(method) or "")


@each_method
def test_every_docstring_explains_every_argument_in_order(method: Any) -> None:
    text = (inspect.getdoc(method) or "").partition("Args:\n")[2].partition("\n\n")[0]

    explained = [line.strip().partition(":")[0] for line in text.splitlines() if line[4:5] != " "]
    assert explained == [*inspect.signature(method).parameters][1:]


@needs_specification
@each_method
def test_every_docstring_names_operations_of_the_specification(method: Any) -> None:
    (named,) = re.findall(r"^Endpoint: `(\w+) (\S+)`", inspect.getdoc(method) or "", re.MULTILINE)

    assert named in operations()


@needs_specification
@pytest.mark.parametrize("modules", [MODULES.keys(), MODULES.values()], ids=["async", "blocking"])
def test_every_operation_of_the_specification_is_named_by_a_docstring(modules: Collection[type]) -> None:
    named = {
        operation
        for module in modules
        for method in public_methods(module).values()
        for operation in re.findall(r"^Endpoint: `(\w+) (\S+)`", inspect.getdoc(method) or "", re.MULTILINE)
    }

    assert named == operations()
