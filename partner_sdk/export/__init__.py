"""The same report in other formats: NCMEC's CyberTipline XML, and the list of SI 2026/268.

An extra with an import of its own: `import partner_sdk` never loads it. Never sends anything, and loses nothing in
silence: a field without a place in the other format is in a list of losses.

    from partner_sdk.export import make_ncmec_report

    export = make_ncmec_report(report, priority="P1")
    export.xml     # the `<report>` document, as bytes
    export.losses  # e.g. Loss(kind="changed", pointer="#/category", detail="...")
"""

from partner_sdk.export._fields import Loss
from partner_sdk.export._ncmec import NcmecExport, make_ncmec_file, make_ncmec_report
from partner_sdk.export._uk_checklist import UkChecklist, format_checklist, list_checklist_fields, make_uk_checklist

__all__ = [
    "Loss",
    "NcmecExport",
    "UkChecklist",
    "format_checklist",
    "list_checklist_fields",
    "make_ncmec_file",
    "make_ncmec_report",
    "make_uk_checklist",
]
