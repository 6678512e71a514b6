"""A finding of a doctor, and text for a terminal: one type, one JSON and one print for partner, gateway and desk."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `warning` (a person should know) or `fault` (something fails, or soon will).

    `fix` is how to repair it, e.g. "Free some room.". Empty where all is well, and for an error in its own words.
    """

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


def make_printable(text: str) -> str:
    """Return a line with a question mark for each unprintable character, e.g. ESC: a terminal would obey it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def is_well(findings: Collection[Finding]) -> bool:
    """Return whether nothing that was found is a fault."""
    return all(one.verdict != "fault" for one in findings)


def format_finding(finding: Finding) -> tuple[str, ...]:
    """Return the lines of a finding for a terminal; the fix stands below the fault."""
    verdict = finding.verdict if finding.verdict == "ok" else finding.verdict.upper()
    found = f"{verdict:8} {finding.name}: {finding.detail}"
    return (found, f"         What to do: {finding.fix}") if finding.fix else (found,)


def describe_findings(findings: Collection[Finding]) -> dict[str, object]:
    """Return all findings for machines, in the order in which they were made."""
    return {"findings": [asdict(one) for one in findings], "well": is_well(findings)}
