"""The codes of a case: what an assessor may answer. Those that digests count come from digests/tables.py."""

from typing import Final

from gateway.desk.casework.cases import CaseError
from gateway.desk.digests import tables
from gateway.desk.outbox.replies import REPLIED_BY_RETURN_CODE

KINDS: Final = tuple(code for code, _ in tables.KINDS)
AGE_BANDS: Final = tuple(code for code, _ in tables.AGE_BANDS)
OUTCOMES: Final = tuple(code for code, _ in tables.OUTCOMES)
WEAKNESSES: Final = tuple(code for code, _ in tables.WEAKNESSES)
MOST_WEAKNESSES: Final = tables.MOST_WEAKNESSES

YES_NO: Final = ("yes", "no")
# Who is best placed to act (R18, R20); "nobody" is for what is out of remit or nothing to act on.
BEST_PLACED: Final = (
    "local_police",
    "overseas_police",
    "operations",
    "harm_reduction",
    "childrens_services",
    "iwf",
    "nobody",
)
# How the reply that is owed was given; the last one needs a reason and stands for a reply that would do harm (R23).
NO_SAFE_CONTACT: Final = "no_safe_contact"
REPLY_CODES: Final = (
    "replied_by_call",
    "replied_by_text",
    "replied_by_email",
    "replied_through_adult",
    "replied_through_school",
    # A sealed reply waits for someone who may never come back: it is the one that is owed only where a person says why.
    REPLIED_BY_RETURN_CODE,
    NO_SAFE_CONTACT,
)

# Where somebody was sent whose report is not for this desk (R7, R6): closing as out of remit names one.
OUT_OF_REMIT: Final = "out_of_remit"
REDIRECTS: Final = (
    "school_and_app",
    "childline",
    "report_harmful_content",
    "app_own_help",
    "iwf",
    "police_not_urgent",
    "revenge_porn_helpline",
    "other_country",
    "other",
)


def check_code(name: str, code: str, codes: tuple[str, ...]) -> None:
    """Raise `CaseError` (`bad-code`) for a code that is not of its list."""
    if code not in codes:
        raise CaseError(f"{name} must be one of: {', '.join(codes)}.", reason="bad-code")
