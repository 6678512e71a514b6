"""The one table of the checker's codes (`codes.toml`): how grave each is, what is so, why it matters, how to mend."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

from partner_sdk.button.check.attribute_names import spell_names
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.notices import Notice
from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import SIZES
from partner_sdk.wire.button_check import CheckFinding, Severity

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
    return msgspec.convert(tomllib.loads(text), dict[str, Code])


def spell_notice(notice: Notice, *, expected: Expected) -> CheckFinding:
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
        "names": spell_names(notice.names),
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
