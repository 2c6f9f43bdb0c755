"""Makes the blocking surfaces of the async ones, `sync/` of `aio/` for one: text in, text out, nothing imported.

    python mailchannels/_codegen.py            write the files
    python mailchannels/_codegen.py --check    only say what differs; exit 1 if anything does

A public coroutine becomes a method of the same signature and docstring that makes the call in the calling thread, or
hands it to the event loop's thread where it has tasks; an async generator becomes a generator; `__init__` and special
methods are taken over without `await`, private names stay behind. Ruff then formats the text and drops the imports that
nothing needs any more.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FROM: Final = ("aio/*.py", "hybridbox/aio.py", "jobs/aio.py")
TO: Final = ("sync/*.py", "hybridbox/sync.py", "jobs/sync.py")
ROOT: Final = "AsyncClient"
"""The class behind every client; its blocking form holds no event loop itself, those of the others do."""
RUFF: Final = (sys.executable, "-m", "ruff")
STYLE: Final = ("--isolated", "--line-length", "120", "--target-version", "py311", "--quiet")

RENAMED: Final = {
    "AnyIterable": "Iterable",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
}
IN_DOCSTRINGS: Final = (
    (r"\bawait |\basync (?=with\b|for\b)", ""),
    (r" or async iterable\b", ""),
    (r"\baclose\b", "close"),
)
ONLY_HERE: Final = """
from collections.abc import Generator, Iterable
from ..blocking import Calls
"""


def generate(sources: dict[str, str]) -> dict[str, str]:
    """Give the text of every blocking file for the text of every async one, both by path below the package."""
    modules = {path: ast.parse(text) for path, text in sources.items()}
    own = {
        node.name: path for path, module in modules.items() for node in module.body if isinstance(node, ast.ClassDef)
    }
    return {_blocking(path): _formatted(_Plain(own).module(path, module)) for path, module in modules.items()}


def _blocking(path: str) -> str:
    return re.sub(r"\baio\b", "sync", path)


def differences(sources: dict[str, str], committed: dict[str, str]) -> list[str]:
    """Say which of the committed files are stale or edited, missing, or without a counterpart."""
    fresh = generate(sources)
    return [
        *(f"{path}: is missing" for path in sorted(fresh.keys() - committed.keys())),
        *(f"{path}: has no async counterpart" for path in sorted(committed.keys() - fresh.keys())),
        *(
            f"{path}: is not what its async counterpart gives"
            for path in sorted(fresh.keys() & committed.keys())
            if fresh[path] != committed[path]
        ),
    ]


def read(patterns: tuple[str, ...]) -> dict[str, str]:
    """Read files of the package, by path below it."""
    return {
        path.relative_to(HERE).as_posix(): path.read_text("utf-8")
        for pattern in patterns
        for path in sorted(HERE.glob(pattern))
    }


class _Plain(ast.NodeTransformer):
    """Takes the async out of a syntax tree."""

    def __init__(self, own: dict[str, str]) -> None:
        self._own = own
        self._is_job = False
        self._plain = RENAMED | {name: name.removeprefix("Async") for name in own}

    def module(self, path: str, tree: ast.Module) -> str:
        kept: list[ast.stmt] = [
            self.visit(node)
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.ClassDef)
            or (isinstance(node, ast.Assign) and path.endswith("__init__.py"))  # its __all__
        ]
        counterparts = [ast.alias(cls) for cls, home in self._own.items() if home == path]
        if counterparts:
            # Not visited: the async classes behind keep their names.
            module = path.removesuffix(".py").replace("/", ".")
            kept[1:1] = [ast.ImportFrom(module, counterparts, 2), *ast.parse(ONLY_HERE).body]
        tree.body = kept
        title = f"The blocking form of `{path}`, made of it by `python mailchannels/_codegen.py`; not to be edited."
        return f'"""{title}"""\n{ast.unparse(ast.fix_missing_locations(tree))}\n'

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        counterpart = node.name
        is_root, is_client = counterpart == ROOT, [ast.unparse(base) for base in node.bases] == [ROOT]
        takes = [argument.arg for argument in _init(node).args.args]
        is_module, is_job = takes == ["self", "client"], "client" in takes[:-1]
        self._is_job = is_job  # it is closed, and its client stays open
        node.body = [item for item in node.body if not getattr(item, "name", "").startswith("_") or _is_special(item)]
        self.generic_visit(node)
        node.name = self._plain[node.name]
        if is_root:
            node.body.remove(_init(node))
        elif is_client:
            # Modules are attached with annotations; whatever else the async form sets up, it sets up itself.
            attached = [item for item in _init(node).body if isinstance(item, ast.AnnAssign)]
            made = f"{counterpart}({', '.join(_arguments(_init(node).args))})"
            _init(node).body = [*ast.parse(f"self._calls = Calls(lambda: {made})").body, *attached]
        elif is_module:
            _init(node).body = ast.parse("self._calls = client._calls").body
        elif is_job:
            # It has a state of its own; what it is given is read in whichever thread calls.
            _, _, *given = takes
            passed_on = ["self._calls.client", *(f"self._calls.lend({name})" for name in given)]
            passed_on += [f"{argument.arg}={argument.arg}" for argument in _init(node).args.kwonlyargs]
            _init(node).body = ast.parse(
                f"self._calls = client._calls\nself._aio = {counterpart}({', '.join(passed_on)})"
            ).body
        if is_root or is_client:
            node.body[1:1] = ast.parse(f"_calls: Calls[{counterpart}]").body
        has_methods = any(isinstance(part, ast.FunctionDef) and part.name != "__init__" for part in node.body)
        if is_root or is_module or (is_client and has_methods):
            # Looked up at each call: a forked child has another one.
            behind = f"{counterpart}(self._calls.client)" if is_module else "self._calls.client"
            node.body += ast.parse(f"@property\ndef _aio(self) -> {counterpart}:\n    return {behind}").body
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module is not None and any(alias.name in self._own for alias in node.names):
            node.module = _blocking(node.module)
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if node.decorator_list and not _is_special(node):
            node.body[1:] = ast.parse(f"return self._aio.{node.name}").body
        self.generic_visit(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.FunctionDef:
        if node.name == "aclose" and not self._is_job:
            node.body[1:] = ast.parse("self._calls.close()").body
        elif not _is_special(node):
            parts = [*ast.walk(node)]
            way = "make"
            if any(isinstance(part, ast.Yield) for part in parts):
                way = "iterate"
            # Whoever goes through an async generator runs tasks, and so does a job.
            elif self._is_job or any(_is_async(part) for part in parts):
                way = "make_on_event_loop"
            passed_on = ", ".join([f"self._aio.{node.name}", *_arguments(node.args)])
            # What the async form drops, so that no traceback that shows variables shows it, the blocking one drops too.
            dropped = [ast.unparse(part) for part in node.body if isinstance(part, ast.Delete)]
            put_off = [f"call = self._calls.prepared({passed_on})", *dropped, "return call()"]
            body = "\n".join(put_off) if dropped else f"return self._calls.{way}({passed_on})"
            node.body[1:] = ast.parse(body).body
        fields = {name: value for name, value in ast.iter_fields(node) if name != "name"}
        self.generic_visit(node)
        if node.name == "aclose" and self._is_job:
            node.body[1:] = ast.parse("return self._calls.make_on_event_loop(self._aio.aclose)").body
        return ast.FunctionDef(name=self._plain.get(node.name, node.name), **fields)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "AsyncGenerator":
            assert isinstance(node.slice, ast.Tuple)  # noqa: S101  # AsyncGenerator[what it yields, None]
            node.value.id = "Generator"
            node.slice.elts.append(ast.Constant(None))
        return node

    def visit_Await(self, node: ast.Await) -> ast.expr:
        awaited: ast.expr = self.visit(node.value)
        return awaited

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._plain.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        node.attr = self._plain.get(node.attr, node.attr)
        self.generic_visit(node)
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        if node.name in self._own:
            node.name = self._plain[node.name]
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            for pattern, replacement in IN_DOCSTRINGS:
                node.value = re.sub(pattern, replacement, node.value)
            for name in self._own:
                node.value = re.sub(rf"\b{name}\b", self._plain[name], node.value)
        return node


def _init(node: ast.ClassDef) -> ast.FunctionDef:
    return next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")


def _is_async(node: ast.AST) -> bool:
    return isinstance(node, ast.AsyncFor | ast.AsyncWith) or bool(getattr(node, "is_async", False))


def _is_special(node: ast.AST) -> bool:
    return getattr(node, "name", "").startswith("__")


def _arguments(arguments: ast.arguments) -> list[str]:
    """Pass a function's arguments on as they came."""
    return [
        *(argument.arg for argument in arguments.args if argument.arg != "self"),
        *(f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs),
    ]


def _formatted(text: str) -> str:
    for arguments in (
        ("check", "--select", "F401,I001", "--fix-only", "--exit-zero", *STYLE, "-"),
        ("format", *STYLE, "-"),
    ):
        done = subprocess.run([*RUFF, *arguments], input=text, capture_output=True, text=True, check=True)  # noqa: S603
        text = done.stdout
    return text


def main(arguments: list[str]) -> int:
    """Write or check the files."""
    sources, committed = read(FROM), read(TO)
    if arguments == ["--check"]:
        found = differences(sources, committed)
        for line in found:
            print(f"{line}; run: python mailchannels/_codegen.py", file=sys.stderr)  # noqa: T201
        return 1 if found else 0
    fresh = generate(sources)
    for path in committed.keys() - fresh.keys():
        (HERE / path).unlink()
    for path, text in fresh.items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
