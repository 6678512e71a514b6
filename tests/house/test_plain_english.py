"""Docstrings in plain English: counts words that mark a sentence a native engineer would not write.

E.g. "Says what an id is that a command took" becomes "Explain why an id is not a partner".
"""

import ast
import re

import pytest

from tests.house.sources import ROOT, files, find_nodes

WORDS = re.compile(
    r"\b(what|whatever|whoever|whom|somebody|someone|anybody|anyone|nobody|says|say|said|tells|tell|told|spells"
    r"|spelled|that which|those that|who)\b",
    re.IGNORECASE,
)
# Of 10,000 words of docstrings; it was 270 once.
MOST = {"gateway": 20, "partner_sdk": 20, "tests": 20}
MOST_IN_DOCUMENTS = 100


def measure(folder: str) -> float:
    """Return how many of the words 10,000 words of the folder's docstrings hold."""
    words = found = 0
    for path in files(".py", below=(folder,)):
        for node in find_nodes(path, ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            words += len(re.findall(r"[A-Za-z']+", text))
            found += len(WORDS.findall(text))
    assert words >= 1000, folder
    return 10_000 * found / words


def measure_typescript() -> float:
    """Return how many of the words 10,000 words of the comments of the TypeScript client hold."""
    texts = [path.read_text(encoding="utf-8") for path in files(".ts", ".mjs", below=("partner_sdk/npm",))]
    text = "\n".join(part for one in texts for part in re.findall(r"/\*\*[\s\S]*?\*/|//.*", one))
    words = re.findall(r"[A-Za-z']+", text)
    assert len(words) >= 1
    return 10_000 * len(WORDS.findall(text)) / len(words)


def measure_documents() -> float:
    """Return how many of the words 10,000 words of the documents hold, without code, decisions and the changelog."""
    paths = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "widget/README.md", *(ROOT / "partner_sdk").glob("*.md")]
    paths += [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/guides").glob("*.md"),
        *(ROOT / "docs/readers").glob("*.md"),
    ]
    assert len(paths) >= 1
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    text = re.sub(r"^ *```.*?^ *```|`[^`]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    words = re.findall(r"[A-Za-z']+", text)
    assert len(words) >= 1
    return 10_000 * len(WORDS.findall(text)) / len(words)


def test_the_words_are_found() -> None:
    assert WORDS.findall("Says what a table is, and who told whoever came.") == [
        "Says",
        "what",
        "who",
        "told",
        "whoever",
    ]
    assert WORDS.findall("Somewhat untold: the whole story.") == []


@pytest.mark.parametrize("folder", MOST)
def test_docstrings_hold_few_of_the_words(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert measure(folder) <= MOST[folder]


def test_comments_of_the_typescript_client_hold_few_of_the_words() -> None:
    assert measure_typescript() <= MOST["partner_sdk"]


def test_documents_hold_few_of_the_words() -> None:
    assert measure_documents() <= MOST_IN_DOCUMENTS
