"""Every code block of the documents has a test: here those of settings, elsewhere all that runs, by the table below."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from gateway.config import EvidenceConfig, LimitsConfig
from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.office.config import CarriersConfig, DeskConfig, check_carriers, check_config
from gateway.desk.office.escalation import Escalation
from tests.documents import list_documents
from tests.house.sources import ROOT

HERE: Final = "tests/house/test_document_blocks.py"
NPM: Final = ROOT / "partner_sdk/npm/README.md"
# The tests of each language's blocks; a block of another language needs one first.
CHECKED_BY: Final = {
    "bash": ("tests/contract/test_any_language_guide.py", "tests/whole/test_sandbox_over_http.py"),
    "csharp": ("tests/sdk/button/test_native_guide.py",),
    "html": ("tests/widget/test_button.py",),
    "ini": (HERE, "tests/house/test_documented_commands.py"),
    "jsx": (HERE,),
    "kotlin": ("tests/sdk/button/test_native_guide.py",),
    "python": ("tests/sdk/test_guide_python.py", "tests/sdk/test_sdk_readme.py"),
    "sh": ("tests/documents.py", "tests/house/test_documented_commands.py"),
    "swift": ("tests/sdk/button/test_native_guide.py",),
    "text": (HERE,),
    "toml": (HERE,),
    "ts": ("tests/contract/test_npm_package.py",),
}


def list_code(*languages: str) -> Iterator[tuple[str, str, str]]:
    """Yield the document, the language and the text of each block, of these languages if any is named."""
    for path in [*list_documents(), NPM]:
        for language, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```", path.read_text("utf-8"), re.M | re.S):
            if not languages or language in languages:
                yield path.relative_to(ROOT).as_posix(), language, text


def test_every_language_of_a_block_has_a_test_that_reads_such_blocks() -> None:
    found = {language for _, language, _ in list_code()}
    assert found == set(CHECKED_BY)
    for language in found:
        for name in CHECKED_BY[language]:
            text = (ROOT / name).read_text("utf-8")
            assert re.search(rf"\b{language}\b", text), (language, name)


# A `desk.toml` without anything of its own.
DESK: Final = {"environment": "live", "gateway_origin": "https://report.example", "feed_url": "https://feed.example"}
SETTINGS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "carriers": lambda table: check_carriers(msgspec.convert(table["carriers"], CarriersConfig)),
    "checked_on": lambda table: msgspec.convert(table, Escalation),
    "evidence": lambda table: msgspec.convert(table["evidence"], EvidenceConfig),
    "limits": lambda table: msgspec.convert(table["limits"], LimitsConfig),
    "pages_origin": lambda table: check_config(msgspec.convert({**DESK, **table}, DeskConfig)),
}


def test_settings_of_a_document_are_taken_by_the_code(tmp_path: Path) -> None:
    taken = set()
    for document, _, text in list_code("toml"):
        table = tomllib.loads(text)
        first = next(iter(table))
        if first in SETTINGS:
            SETTINGS[first](table)
        else:
            assert document == "docs/data.md", text
            own = tmp_path / "destinations.toml"
            own.write_text(text, encoding="utf-8")
            assert load_register(own)[first].contact == table[first]["contact"]
        taken.add(first)
    assert taken == {*SETTINGS, "kent"}
    with pytest.raises(msgspec.ValidationError, match="smtp_hosts"):
        SETTINGS["carriers"]({"carriers": {"smtp_hosts": "mail.team.example"}})


def test_files_of_the_machine_have_the_form_of_their_program() -> None:
    kernel, unit = (text for _, _, text in list_code("ini"))
    assert all(re.fullmatch(r"(?:kernel|fs)(?:\.\w+)+ = \S+", line) for line in kernel.splitlines())
    parser = configparser.ConfigParser(strict=False)
    parser.read_string(unit)
    assert parser.sections() == ["Service"]
    (table,) = (text for _, _, text in list_code("text"))
    assert [len(line.split()) for line in table.splitlines()] == [4]  # crypttab(5): name, device, key, options


def test_component_of_the_package_is_used_with_its_own_names() -> None:
    ((_, _, block),) = list_code("jsx")
    package = json.loads((ROOT / "widget/package.json").read_text("utf-8"))
    types = (ROOT / "widget/react.d.ts").read_text("utf-8")
    modules = re.findall(r'"(report-abuse-button)/(\w+)"', block)
    assert [f"./{name}" in package["exports"] for _, name in modules] == [True, True]
    (component, properties) = re.findall(r"<(\w+) (.*?) />", block)[0]
    assert f"{{ {component} }}" in block
    assert component in types
    names = re.findall(r"(\w+)=", properties)
    assert names == ["origin", "placement"]
    shared = types + (ROOT / "widget/element.d.ts").read_text("utf-8")
    assert [name for name in names if not re.search(rf"\b{name}\??:", shared)] == []
