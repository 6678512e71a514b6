"""The parts of most tests: an agency with all its keys, partners, a gateway on a real folder, signed requests.

Everything is the project's own code at work; only the clock stands still, and the keys come from fixed seeds.
"""

from tests.builders.clock import DAY, NOW, StillClock
from tests.builders.doors import Door, sign_request
from tests.builders.house import FEED_ORIGIN, PUBLIC_ORIGIN, House, make_house
from tests.builders.parties import Agency, Partner, make_key, raw_public_key, sealing_key_of, verify_key_of
from tests.builders.reports import (
    EXAMPLE_REPORT,
    EXAMPLES,
    FULL_REPORT,
    SealedReport,
    make_box,
    make_clear_fields,
    make_industry_report,
    seal_report,
    sign_for_envelope,
)

__all__ = [
    "DAY",
    "EXAMPLES",
    "EXAMPLE_REPORT",
    "FEED_ORIGIN",
    "FULL_REPORT",
    "NOW",
    "PUBLIC_ORIGIN",
    "Agency",
    "Door",
    "House",
    "Partner",
    "SealedReport",
    "StillClock",
    "make_box",
    "make_clear_fields",
    "make_house",
    "make_industry_report",
    "make_key",
    "raw_public_key",
    "seal_report",
    "sealing_key_of",
    "sign_for_envelope",
    "sign_request",
    "verify_key_of",
]
