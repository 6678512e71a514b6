"""The fields that an industry report must or should have, as a document for people: docs/fields.md. No tests here.

Renew it after a change of the model: `python -m tests.sdk.report.field_table`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from partner_sdk.report.outline import Field, Part, describe_value, get_outline
from partner_sdk.report.reading import APPLIES, MOST_PLACES, MOST_USEFUL

DOCUMENT = Path(__file__).parents[3] / "docs" / "fields.md"
COMMAND = "python -m tests.sdk.report.field_table"
MARKS = {"must": "M", "case": "M", "should": "S", "may": "o"}
ASKERS = {"uk": "U", "ncmec": "C"}

HEAD = f"""# Fields of the industry report

Made by `{COMMAND}` from `partner_sdk/report/` and held by `tests/sdk/report/test_field_table.py`: do not
edit by hand. The same fields for programs: `GET /v1/schema/report.json`.

**M** must be there, **S** should be there and counts for completeness, and an optional object is marked **o**. Other
optional fields stand in the schema and in `partner_sdk/examples/full-report.json`. **U**: an item of the UK duty
(SI 2026/268); **C**: the CyberTipline schema has it. A field without a type is a text of 1 to 300 characters; objects
have a section, which those with the same fields share.

- Order never matters. A field that is not in the schema is refused.
- Any list may be empty: no suspect, no child and no file at all is a report too.
- In place of any field but an M there may stand `{{"not_held": reason}}`. That a service does not hold something is
  information, and counts as said. Reasons: `none_exists` (we looked, there is none), `not_collected`, `no_longer_kept`,
  `deleted_by_user`, `not_applicable`, `not_yet_known`, `law_forbids`, `unknown`.
- Times are UTC. A field that takes null and is no M may be left out instead.
- `text 3,000` is a text of 1 to 3,000 characters, `list of` any number of them, `time` one in UTC like
  2026-11-25T08:30:00Z, `answer` yes, no or unknown; of words with commas between them it is one.
"""
# As a table says it: a field's own error has the whole words.
SHORT = (
    (r"a text of 1 to ([\d,]+) characters", r"text \1"),
    (r"a list, of each: an object", "objects"),
    (r"a list, of each: ", "list of "),
    (r"\ban object\b", "object"),
    (r"\bone of no, unknown, yes", "answer"),
    (r"\ba time in UTC like 2026-11-25T08:30:00Z", "time"),
    (r"\bone of ", ""),
    (r"\ba country code of two capitals like GB", "country code, e.g. GB"),
)


def make_document() -> str:
    """Make the whole document; objects with the same fields share a section."""
    sections = dict[tuple[str, ...], list[str]]()
    for heading, rows in _list_parts(get_outline(), heading="The report", pattern=""):
        sections.setdefault(rows, []).append(heading)
    lines = [HEAD]
    for rows, headings in sections.items():
        lines += [f"## {', '.join(headings)}", "", *rows, ""] if rows else []
    return "\n".join([*lines, *_format_completeness()]) + "\n"


def _list_parts(part: Part, *, heading: str, pattern: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    fields = [field for field in part.fields if field.needed != "may" or field.part is not None]
    yield heading, tuple(map(_format_row, fields))
    for field in fields:
        if field.part is not None:
            place = f"{pattern}/{field.name}{'/…' if field.is_list else ''}"
            yield from _list_parts(field.part, heading=f"`#{place}`", pattern=place)


def _format_row(field: Field) -> str:
    marks = MARKS[field.needed] + "".join(ASKERS[one] for one in field.asked_by)
    marks += f" {field.when}" if field.when else ""
    takes = describe_value(field.type)
    for words, short in SHORT:
        takes = re.sub(words, short, takes)
    takes = "" if takes == "text 300" else f" *{takes}*"
    return f"- `{field.name}` {marks}: {field.description}{takes}"


def _format_completeness() -> Iterator[str]:
    yield from (
        "## Completeness",
        "",
        "Each kind of field that is marked S counts once, wherever its object is there; the score is the mean of their",
        f"shares, from 0 to 100. At most {MOST_PLACES} places of one kind are named as missing. The most useful first:",
        ", ".join(f"`{pattern}`" for pattern in MOST_USEFUL) + ".",
        "",
        "Then all others, in the order above. Not missed where another answer makes them idle: "
        + ", ".join(f"`{pattern}`" for pattern in sorted(APPLIES))
        + ".",
    )


if __name__ == "__main__":
    DOCUMENT.write_text(make_document(), encoding="utf-8")
