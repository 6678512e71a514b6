"""`make docs`: every document is read without a warning, and the pages ask no other host for anything."""

import re
import subprocess
import sys
from pathlib import Path

from tests.house.sources import ROOT


def build(folder: Path, *words: str) -> str:
    """Build the site into a folder as `make docs` does, and return its warnings."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", ROOT / "docs/site"]
    done = subprocess.run(
        [*command, "-d", folder / "cache", *words, ROOT, folder / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stderr


def test_every_document_is_read_without_a_warning(tmp_path: Path) -> None:
    # The builder `dummy` resolves every link and writes nothing, in half of the time.
    assert build(tmp_path, "-b", "dummy") == ""


def test_page_loads_nothing_from_another_host(tmp_path: Path) -> None:
    page = "docs/decisions/0001-two-processes"
    assert build(tmp_path, "-D", "include_patterns=docs/decisions/0001*.md", "-D", f"root_doc={page}") == ""
    text = (tmp_path / f"site/{page}.html").read_text("utf-8")
    loaded = re.findall(r'<(?:script|img|iframe)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)"', text)
    addresses = [src or href for src, href in loaded]
    assert len(addresses) >= 6
    assert [address for address in addresses if re.match(r"(?:[a-z]+:)?//", address)] == []
    styles = [path.read_text("utf-8") for path in (tmp_path / "site/_static").rglob("*.css")]
    assert len(styles) >= 3
    assert [found for text in styles for found in re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text)] == []
