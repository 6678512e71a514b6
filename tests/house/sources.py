"""The files of the house, as the house tests see them. Nothing here is a test."""

import ast
import functools
from pathlib import Path

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


@functools.cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return every module that a file imports, at any depth."""
    found: list[str] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path} imports relatively; name the package")
            module = node.module or ""
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return tuple(found)


@functools.cache
def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
