"""Says what the form itself noted about how a report was filled in."""

from typing import Final

from partner_sdk.public_report import PublicReport

# These signals say what became of the question about calling 999: they are no doubt about who typed.
_DANGER_SIGNAL_PREFIX: Final = "danger-"


def is_flagged(report: PublicReport) -> bool:
    """Return whether the form doubts who typed: filled by a script, too fast, or over the limits."""
    return any(not signal.startswith(_DANGER_SIGNAL_PREFIX) for signal in report.signals)
