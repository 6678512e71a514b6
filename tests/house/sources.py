"""The files of the house, as the house tests see them. Nothing here is a test."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("gateway", "partner_sdk", "widget")
LEFT_OUT = {"node_modules", "__pycache__", ".venv", "build", "dist"}


def files(*endings: str, below: tuple[str, ...] = ROOMS) -> list[Path]:
    """Return the files with one of the endings, sorted; the caller asserts how many there should at least be."""
    return sorted(
        path
        for room in below
        for path in (ROOT / room).rglob("*")
        if path.suffix in endings and path.is_file() and not LEFT_OUT & set(path.parts)
    )


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at whatever depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path} imports relatively; name the package")
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
