"""Findings: each `Notice` in the words of one table (`codes.toml`), and a whole check as text or as JUnit XML.

A row of the table gives the gravity of a finding, the fact, why it matters and how to fix it. JSON is the check itself
(WIRE.md §10.2). A page that did not come is a finding too (`unseen`).
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal
from xml.etree import ElementTree as ET

from partner_sdk.button.check._buttons import Expected, Notice
from partner_sdk.button.check._known_names import format_names
from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import SIZES
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.finding import make_printable
from partner_sdk.wire.button import ButtonCheck, CheckFinding, Severity
from partner_sdk.wire.canonical import convert

Group = Literal["page", "link", "press", "words", "icon", "script", "place", "browser"]
GROUPS: Final[dict[Group, str]] = {
    "page": "The page",
    "link": "The link",
    "press": "A press on it",
    "words": "The words",
    "icon": "The icon",
    "script": "The script",
    "place": "Where it stands",
    "browser": "As a browser shows it",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table."""

    group: Group
    severity: Severity
    what: str
    why: str
    mend: str


@cache
def read_codes() -> dict[str, Code]:
    """Return the table, in its order."""
    text = files("partner_sdk.button.check").joinpath("codes.toml").read_text("utf-8")
    return convert(tomllib.loads(text), kind=dict[str, Code])


def format_notice(notice: Notice, *, expected: Expected) -> CheckFinding:
    """Return the finding of a notice, in the words of the table."""
    row = read_codes()[notice.code]
    values = {
        "origin": expected.origin,
        "script": SCRIPT_PATH,
        "icon": ICON_PATH,
        "hash": SCRIPT_INTEGRITY,
        "least": str(min(SIZES)),
        "sizes": ", ".join(map(str, SIZES)),
        "add": notice.add,
        "placement": "" if expected.placement is None else f" --placement {expected.placement}",
        "names": format_names(notice.names),
        "screens": ", ".join(notice.screens),
    }
    return CheckFinding(
        code=notice.code,
        mend=row.mend.format_map(values)[:600],
        severity=row.severity,
        what=row.what.format_map(values).replace(" ()", ""),
        where="" if notice.line is None else f"line {notice.line}",
        why=row.why.format_map(values),
    )


def explain_no_page(error: TransportError | FormatError, *, expected: Expected) -> CheckFinding:
    """Return why there is nothing to judge."""
    return format_notice(Notice(_pick_code(error.reason), add=str(error)), expected=expected)


def _pick_code(reason: str) -> str:
    """Return the code for a reason of `fetch_page`, of the parser or of a runner."""
    return {
        "bad-address": "no-address",
        "not-https": "not-https",
        "not-public": "not-public",
        "connection": "no-connection",
        "tls": "not-trusted",
        "timeout": "too-slow",
        "status": "other-answer",
        "redirect": "sent-elsewhere",
        "sign-in": "asks-to-sign-in",
        "no-page": "no-html",
    }.get(reason, "not-judged")


_MARKS: Final[dict[Severity, str]] = {"fault": "FAULT", "advice": "advice", "unseen": "not seen"}
_NOT_COMPARED: Final = "placement-not-compared"
# Not in a page's source: a banner that covers the button, a place below the first screen.
_BY_SOURCE_ALONE: Final = "the link is right; whether it can be seen was not judged (--browser does that)."
_NOT_JUDGED: Final = frozenset({"not-judged", "no-rest"})


def format_check(check: ButtonCheck) -> list[str]:
    """Return the lines of a check for a terminal: the findings by subject, then the result and its limit."""
    lines = []
    for group, title in GROUPS.items():
        found = [one for one in check.findings if read_codes()[one.code].group == group]
        if found:
            lines += [title, *(line for one in found for line in _format_finding(one)), ""]
    return [*lines, _format_result(check)]


def _format_finding(finding: CheckFinding) -> list[str]:
    where = f" ({finding.where})" if finding.where else ""
    return [
        f"  {_MARKS[finding.severity]}: {finding.what}{where}",
        f"    Why it matters: {finding.why}",
        f"    How to fix it: {finding.mend}",
    ]


def _format_result(check: ButtonCheck) -> str:
    if check.result == "unreachable":
        is_here = any(one.code in _NOT_JUDGED for one in check.findings)
        what = "could not be judged" if is_here else "did not load"
        return f"{check.address}: the page {what}, so its button was not checked."
    faults = sum(one.severity == "fault" for one in check.findings)
    others = len(check.findings) - faults
    more = f" {others} more to read above." if others else ""
    if not faults and any(one.code == _NOT_COMPARED for one in check.findings):
        limit = f" {_BY_SOURCE_ALONE.capitalize()}" if check.method == "static" else ""
        return f"{check.address}: no fault seen; the placement was not compared.{limit}{more}"
    if not faults and check.method == "static":
        return f"{check.address}: {_BY_SOURCE_ALONE}{more}"
    if not faults:
        return f"{check.address}: the button is as agreed.{more}"
    return f"{check.address}: {faults} {'fault' if faults == 1 else 'faults'}.{more}"


def format_junit(check: ButtonCheck) -> str:
    """Return one test suite: a test case for each subject, which fails with its faults and has the rest as output."""
    suite = ET.Element(
        "testsuite",
        name="report-abuse-button",
        timestamp=check.checked_at.removesuffix("Z"),
        tests="0",
        failures="0",
        errors="0",
        skipped="0",
        time="0",
    )
    failures = 0
    subjects: list[Group] = [one for one in GROUPS if one != "browser" or check.method == "browser"]
    if check.result == "unreachable":
        subjects = ["page"]  # one error: nothing is said of the rest
    for group in subjects:
        case = ET.SubElement(suite, "testcase", classname=make_printable(check.address), name=GROUPS[group], time="0")
        if check.result == "unreachable":
            said = check.findings[0].what if check.findings else "The page did not load."
            error = ET.SubElement(case, "error", type="unreachable", message=said)
            error.text = "\n".join(line for one in check.findings for line in _format_finding(one))
            continue
        found = [one for one in check.findings if read_codes()[one.code].group == group]
        failures += _add_findings(case, found)
    suite.set("tests", str(len(subjects)))
    suite.set("failures", str(failures))
    suite.set("errors", str(len(subjects) if check.result == "unreachable" else 0))
    ET.indent(suite)
    # ASCII, with references for the rest: it passes every console and log as it is.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="us-ascii").decode("ascii")}\n'


def _add_findings(case: ET.Element, found: list[CheckFinding]) -> int:
    faults = [one for one in found if one.severity == "fault"]
    if faults:
        codes = ", ".join(dict.fromkeys(one.code for one in faults))
        failure = ET.SubElement(case, "failure", type=codes, message=faults[0].what)
        failure.text = "\n".join(line for one in faults for line in _format_finding(one))
    rest = [one for one in found if one.severity != "fault"]
    if rest:
        ET.SubElement(case, "system-out").text = "\n".join(line for one in rest for line in _format_finding(one))
    return 1 if faults else 0
