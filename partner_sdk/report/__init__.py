"""The industry report: its model, its checks, its completeness, and its sealed form. Never seen by the gateway."""

from partner_sdk.report.model import Completeness, IndustryReport, NotHeld, SealedIndustryReport
from partner_sdk.report.outline import list_given
from partner_sdk.report.reading import (
    MAX_REPORT_BYTES,
    describe_field,
    encode_sealed_report,
    list_missing_fields,
    make_sealed_report,
    measure_completeness,
    parse_report,
    parse_sealed_report,
    report_schema,
)

__all__ = [
    "MAX_REPORT_BYTES",
    "Completeness",
    "IndustryReport",
    "NotHeld",
    "SealedIndustryReport",
    "describe_field",
    "encode_sealed_report",
    "list_given",
    "list_missing_fields",
    "make_sealed_report",
    "measure_completeness",
    "parse_report",
    "parse_sealed_report",
    "report_schema",
]
