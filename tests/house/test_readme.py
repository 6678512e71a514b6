"""README and docs match the code: settings, limits, alarms, log fields, links, decisions.

Commands: test_documented_commands.py parses them, and tests/whole/test_documents_run.py runs them. The addresses of the
README: tests/whole/test_demo.py.
"""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from gateway.config import EvidenceConfig, GatewayConfig, LimitsConfig, ListenerConfig
from gateway.desk.cases.watch import ADVICE
from gateway.desk.collection.row_checks import ALARMING_REASONS
from gateway.desk.office.config import CarriersConfig, ContactConfig, DeskConfig, WatchConfig
from gateway.desk.office.escalation import Escalation, Level
from gateway.limits import Effect, Subject, make_rows
from gateway.public import journey
from gateway.web.logs import LOG_FIELDS
from tests.house.sources import ROOT

README = ROOT / "README.md"
MOST_WORDS_FOR_A_READER = 500
RUNNING = ROOT / "docs" / "running.md"
SETTINGS = ROOT / "docs" / "settings.md"
TABLES = {
    "### Top level": GatewayConfig,
    "### `[limits]`": LimitsConfig,
    "### `[evidence]`": EvidenceConfig,
    "### `[[listeners]]`": ListenerConfig,
    "## desk.toml": DeskConfig,
    "### `[carriers]`": CarriersConfig,
    "### `[contact]`": ContactConfig,
    "### `[watch]`": WatchConfig,
    "## escalation.toml": Escalation,
    "### `[[level]]`": Level,
}


def read_documents() -> dict[Path, str]:
    paths = [*ROOT.glob("*.md"), *(ROOT / "partner_sdk").glob("*.md"), ROOT / "widget/README.md"]
    paths += sorted((ROOT / "docs").rglob("*.md"))
    assert README in paths
    return {path: path.read_text(encoding="utf-8") for path in paths}


def make_anchor(heading: str) -> str:
    """Return the name under which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def read_section(text: str, heading: str) -> str:
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def read_table(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def list_linked(page: Path) -> set[Path]:
    """Return the files that a document links."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    return {(page.parent / target).resolve() for target in targets if not re.match(r"[a-z]+:", target)}


def test_readme_is_a_screen_and_a_half_and_leads_to_every_page() -> None:
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= 90
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "<img"))] == []
    readers = set((ROOT / "docs/readers").glob("*.md"))
    assert readers
    assert readers - list_linked(README) == set()
    # Two clicks away at most: by the page of a reader.
    near = list_linked(README).union(*map(list_linked, readers))
    pages = {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/guides").glob("*.md"), *(ROOT / "docs/panel").glob("*.md")}
    assert pages
    assert pages - near == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs/readers").glob("*.md")), ids=lambda page: page.stem)
def test_page_of_a_reader_is_two_screens_at_most(page: Path) -> None:
    assert len(page.read_text("utf-8").split()) <= MOST_WORDS_FOR_A_READER


def test_pythons_of_the_classifiers_are_those_that_operators_read_of() -> None:
    *earlier, last = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text("utf-8"))
    assert f"Python {', '.join(earlier)} or {last} " in RUNNING.read_text("utf-8")


def test_demo_takes_the_variables_that_the_readme_names() -> None:
    dry = subprocess.run(
        ["make", "--dry-run", "demo", "ONCE=1", "PORT=9000", "STATE=folder"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for word in ("--once", "--port 9000", "--state folder"):
        assert word in dry
    assert {"ONCE=1", "PORT=9000", "STATE=folder"} <= set(re.findall(r"[A-Z]+=\w+", README.read_text(encoding="utf-8")))


def test_every_relative_link_resolves() -> None:
    count = 0
    for path, text in read_documents().items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            name, _, anchor = target.partition("#")
            linked = path if not name else (path.parent / name).resolve()
            assert linked.exists(), f"{path}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in map(make_anchor, headings), f"{path}: {target}"
    assert count


@pytest.mark.parametrize(("heading", "kind"), list(TABLES.items()))
def test_settings_that_are_documented_are_those_of_the_code(heading: str, kind: type[msgspec.Struct]) -> None:
    rows = read_table(read_section(SETTINGS.read_text(encoding="utf-8"), heading))
    documented = {name.strip("`"): default.strip("`") for name, default, _ in rows}
    wanted = {}
    for field in msgspec.structs.fields(kind):
        if field.name in {"listeners", "limits"} or isinstance(field.default, msgspec.Struct):
            continue  # these have a table of their own
        wanted[field.name] = "none" if field.required else msgspec.json.encode(field.default).decode()
    assert documented == wanted
    assert len(rows) == len(documented) >= 1


def test_limits_that_are_documented_are_those_of_the_code() -> None:
    rows = read_table(read_section(SETTINGS.read_text(encoding="utf-8"), "## Limits"))
    documented = {name.strip("`"): (int(quota), int(window), counts) for name, quota, window, counts, _ in rows}
    refusing = {name.strip("`") for name, *_, over in rows if over.startswith("429")}
    limits = make_rows(partner_reports_per_minute=LimitsConfig().partner_reports_per_minute)
    words = {
        Subject.NETWORK: "network",
        Subject.PARTNER: "partner",
        Subject.REFERENCE_HERE: "reference, from one network",
        Subject.WAIT: "wait",
    }
    assert documented == {row.name: (row.quota, row.window_seconds, words[row.subject]) for row in limits}
    assert refusing == {row.name for row in limits if row.effect is Effect.REFUSE}


def test_log_fields_that_are_documented_are_those_of_the_code() -> None:
    section = read_section(SETTINGS.read_text(encoding="utf-8"), "## Logs")
    assert re.findall(r"`([a-z_]+)`", section) == list(LOG_FIELDS)


def test_each_decision_has_a_number_of_its_own_and_links_to_it_lead_there() -> None:
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    # A decision that was overruled goes, and its number with it: links from outside must never lead to another one.
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name) for name in names)
    assert len({name[:4] for name in names}) == len(names) >= 1
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "partner_sdk").glob("*.md")]
    link = re.compile(r"\[(\d{4})\]\((?:[^)]*/)?(\d{4}-[^)#]+\.md)")
    linked = [found for path in pages for found in link.findall(path.read_text(encoding="utf-8"))]
    assert linked
    assert [(number, target) for number, target in linked if target not in names or target[:4] != number] == []


def test_changelog_has_each_heading_once_in_a_version() -> None:
    versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    headings = [re.findall(r"^### .*$", version, re.M) for version in versions]
    assert headings[0]
    assert [found for found in headings if len(set(found)) != len(found)] == []


def test_running_md_links_every_section_at_its_top_in_order() -> None:
    source = RUNNING.read_text(encoding="utf-8")
    anchors = [make_anchor(title) for title in re.findall(r"^## (.+)$", source, re.MULTILINE)]
    listed = re.findall(r"\]\(#([^)]+)\)", source[: source.index("## 1 ")])
    assert anchors
    assert listed == anchors


def test_every_alarm_that_stays_is_explained_once() -> None:
    """An alarm that ends with its cause has its fix in `ADVICE`."""
    section = read_section(RUNNING.read_text(encoding="utf-8"), "## Alarms")
    explained = [code for name, *_ in read_table(section) for code in re.findall(r"`([a-z-]+)`", name)]
    raised = set(ALARMING_REASONS)
    for path in sorted((ROOT / "gateway/desk").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if re.search(r"raise_alarm\(|RunAlarms", source):
            raised.update(re.findall(r'^[A-Z]\w*: Final = "([a-z]+(?:-[a-z]+)+)"', source, re.MULTILINE))
        raised.update(re.findall(r'\b(?:endless|too_large)="([a-z-]+)"', source))
    # Constants of the same modules that name no alarm.
    assert set(explained) == raised - set(ADVICE) - {
        "accept-audit-loss",
        "no-open-request",
        "no-place",
        "read-thread",
        "return-post",
    }
    assert len(explained) == len(set(explained))


def test_steps_that_add_a_field_name_files_and_tests_that_exist() -> None:
    steps = journey.__doc__ or ""
    paths = re.findall(r"`((?:gateway|partner_sdk|tests)/[\w/]+\.\w+)`", steps)
    tests = re.findall(r"-> `(tests/[\w/]+\.py)::(\w+)`", steps)
    assert (len(paths) >= 7, len(tests)) == (True, 7)
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert [name for path, name in tests if f"def {name}(" not in (ROOT / path).read_text("utf-8")] == []
