"""The files of the house, as the house tests see them. Nothing here is a test."""

import ast
import functools
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("gateway", "partner_sdk", "widget")
LEFT_OUT = {"node_modules", "__pycache__", ".venv", "build", "dist"}


def files(*endings: str, below: tuple[str, ...] = ROOMS) -> list[Path]:
    """Return the files with one of the endings, sorted; the caller asserts how many there should at least be."""
    return sorted(path for room in below for path in list_files(ROOT / room) if path.suffix in endings)


@functools.cache
def list_files(folder: Path) -> tuple[Path, ...]:
    """Return the files below a folder that are ours: none that was installed or built."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(path for path in found if LEFT_OUT.isdisjoint(path.relative_to(folder).parts))


@functools.cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file, parsed once in a process and never changed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def walk(tree: ast.AST) -> list[ast.AST]:
    """Return a tree's nodes, as `ast.walk` yields them: in a third of its time, which was most of that of all rules."""
    found = [tree]
    for node in found:
        for value in node.__dict__.values():
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return found


def find_nodes(path: Path, *kinds: type[Node]) -> list[Node]:
    """Return the nodes of these kinds in a file, in the order of `ast.walk` for each kind."""
    by_kind = _sort_nodes(path)
    return [node for kind in kinds for node in by_kind.get(kind, ())]  # type: ignore[misc]  # sorted by their type


@functools.cache
def _sort_nodes(path: Path) -> dict[type[ast.AST], list[ast.AST]]:
    by_kind: dict[type[ast.AST], list[ast.AST]] = {}
    for node in walk(parse(path)):
        by_kind.setdefault(type(node), []).append(node)
    return by_kind


@functools.cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return every module that a file imports, at any depth."""
    found = [alias.name for node in find_nodes(path, ast.Import) for alias in node.names]
    for node in find_nodes(path, ast.ImportFrom):
        if node.level:
            raise AssertionError(f"{path} imports relatively; name the package")
        module = node.module or ""
        found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return tuple(found)


@functools.cache
def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
