"""The same report in the words of others: NCMEC's CyberTipline XML, and the list of SI 2026/268.

Never sends anything, and never says less in silence: whatever has no place there is in a list of losses.
"""

from partner_sdk.export.losses import Loss
from partner_sdk.export.ncmec_files import make_ncmec_file
from partner_sdk.export.ncmec_report import NcmecExport, make_ncmec_report
from partner_sdk.export.uk_checklist import UkChecklist, make_uk_checklist

__all__ = ["Loss", "NcmecExport", "UkChecklist", "make_ncmec_file", "make_ncmec_report", "make_uk_checklist"]
