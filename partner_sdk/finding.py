"""What a doctor says of one thing that it looked at: one type, one JSON and one print for partner, gateway and desk."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `warning` (a person should know) or `fault` (something fails, or soon will).

    `mend` says what to do. It is empty where all is well, and where `detail` is an error in its own words.
    """

    name: str
    verdict: Verdict
    detail: str
    mend: str = ""


def is_well(findings: Collection[Finding]) -> bool:
    """Return whether nothing that was found is a fault."""
    return all(one.verdict != "fault" for one in findings)


def format_finding(finding: Finding) -> tuple[str, ...]:
    """Return the lines of a finding for a terminal; what to do stands below what is wrong."""
    verdict = finding.verdict if finding.verdict == "ok" else finding.verdict.upper()
    found = f"{verdict:8} {finding.name}: {finding.detail}"
    return (found, f"         What to do: {finding.mend}") if finding.mend else (found,)


def describe_findings(findings: Collection[Finding]) -> dict[str, object]:
    """Return all findings for machines, in the order in which they were made."""
    return {"findings": [asdict(one) for one in findings], "well": is_well(findings)}
