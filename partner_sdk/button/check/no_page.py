"""Says why a page did not come, or could not be judged: one finding, `unseen`, in our own words alone."""

from partner_sdk.button.check.codes import spell_notice
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.notices import Notice
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button_check import CheckFinding


def explain_no_page(error: TransportError | FormatError, *, expected: Expected) -> CheckFinding:
    """Return why there is nothing to judge."""
    return spell_notice(Notice(_pick_code(error.reason), add=str(error)), expected=expected)


def _pick_code(reason: str) -> str:
    """Return the code for a reason of `fetch_page`, of the parser or of a runner."""
    return {
        "bad-address": "no-address",
        "not-https": "not-https",
        "not-public": "not-public",
        "connection": "no-connection",
        "tls": "not-trusted",
        "timeout": "too-slow",
        "status": "other-answer",
        "redirect": "sent-elsewhere",
        "no-page": "no-html",
    }.get(reason, "not-judged")
