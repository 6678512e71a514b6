"""For online services: submit sealed reports to the agency, verify receipts, open your own digests.

    from pathlib import Path
    from partner_sdk import Partner

    partner = Partner.open(Path("/var/lib/report-abuse"))
    receipt = partner.submit(Path("report.json").read_bytes(), priority="P2")
    print(receipt.reference)  # e.g. K7QF-2M9TX-D

Public: these names, `report`, `client`, `wire`, `button` and `errors`. `console`, with the check of a button and the
pages of digests, and `reader` are packages of their own. `key_files`, `durable_files`, `finding` and `lazy_group` are
shared with the agency's programs. Modules and names that begin with an underscore are private.

Names load when they are first used (PEP 562): importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Envelope": "wire.sealing",
    "IndustryReport": "report",
    "Partner": "client.partner",
    "ReportAbuseError": "errors",
    "SealContext": "wire.sealing",
    "parse_invitation": "wire.enrolment",
    "parse_report": "report",
    "seal": "wire.sealing",
    "verify_bundle": "wire.signing",
    "verify_receipt": "wire.receipts",
}

__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:
    from partner_sdk.client.partner import Partner as Partner
    from partner_sdk.errors import ReportAbuseError as ReportAbuseError
    from partner_sdk.report import IndustryReport as IndustryReport
    from partner_sdk.report import parse_report as parse_report
    from partner_sdk.wire.enrolment import parse_invitation as parse_invitation
    from partner_sdk.wire.receipts import verify_receipt as verify_receipt
    from partner_sdk.wire.sealing import Envelope as Envelope
    from partner_sdk.wire.sealing import SealContext as SealContext
    from partner_sdk.wire.sealing import seal as seal
    from partner_sdk.wire.signing import verify_bundle as verify_bundle


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'partner_sdk' has no attribute {name!r}")
    return getattr(import_module(f"partner_sdk.{home}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
