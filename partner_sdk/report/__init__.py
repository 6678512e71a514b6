"""The industry report: its model, its checks, its completeness, and its sealed form. Never seen by the gateway.

What reads reports loads when it is first used, as in the package around this one.
"""

from typing import TYPE_CHECKING, Any

from partner_sdk.report.model import Completeness, IndustryReport, NotHeld, SealedIndustryReport

if TYPE_CHECKING:
    from partner_sdk.report.outline import list_given
    from partner_sdk.report.reading import (
        MAX_REPORT_BYTES,
        encode_sealed_report,
        list_missing_fields,
        make_sealed_report,
        measure_completeness,
        parse_report,
        parse_sealed_report,
    )


__all__ = [
    "MAX_REPORT_BYTES",
    "Completeness",
    "IndustryReport",
    "NotHeld",
    "SealedIndustryReport",
    "encode_sealed_report",
    "list_given",
    "list_missing_fields",
    "make_sealed_report",
    "measure_completeness",
    "parse_report",
    "parse_sealed_report",
]


def __getattr__(name: str) -> Any:
    """Load a name of `reading.py`."""
    if name not in __all__:
        raise AttributeError(f"module 'partner_sdk.report' has no attribute {name!r}")
    from partner_sdk.report import reading

    return getattr(reading, name)
