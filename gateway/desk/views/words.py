"""The words for the codes of a case, in the order in which a form shows them."""

from gateway.desk.feedback import tables

YES_NO = (("yes", "Yes"), ("no", "No"))
BEST_PLACED = (
    ("local_police", "Local police"),
    ("overseas_police", "Police overseas"),
    ("operations", "Operations"),
    ("harm_reduction", "Harm Reduction"),
    ("childrens_services", "Children's services"),
    ("iwf", "Internet Watch Foundation"),
    ("nobody", "Nobody: out of remit or nothing to act on"),
)
REPLIES = (
    ("replied_by_call", "Called"),
    ("replied_by_text", "Sent a text"),
    ("replied_by_email", "Sent an e-mail"),
    ("replied_through_adult", "Through an adult they trust"),
    ("replied_through_school", "Through their school"),
    ("no_safe_contact", "There is no safe way to reply"),
)
ASSESSMENT = (
    ("immediate_risk", "Is a child at immediate risk?"),
    ("urgent", "Is it urgent?"),
    ("urgent_dissemination", "Must police or child protection have it urgently?"),
)
KINDS, AGE_BANDS, OUTCOMES, WEAKNESSES = tables.KINDS, tables.AGE_BANDS, tables.OUTCOMES, tables.WEAKNESSES
DOORS = (("public", "Public form"), ("industry", "Industry"))
STATES = (
    ("drawing", "Not finished"),
    ("made", "Waits for release"),
    ("released", "Released"),
    ("rejected", "Rejected"),
    ("not-eligible", "Not eligible"),
)

_TITLES = dict((*YES_NO, *BEST_PLACED, *REPLIES, *KINDS, *AGE_BANDS, *OUTCOMES, *WEAKNESSES, *DOORS, *STATES))

# What a case form says when the rules of cases.py refuse; their own words are for the command line.
CASE_FAULTS = {
    "already-closed": "This case is closed already. Nothing was changed.",
    "not-opened": "Nobody has read this report yet. Open it before you assess it.",
    "reply-owed": "A reply is owed to the person who reported. Record the reply below before you close the case.",
    "reason-missing": "Say why there is no safe way to reply.",
    "no-assessor": "Give the name of the person who assessed this.",
    "bad-code": "One of the answers is not on the list. Choose it again.",
    "unknown-case": "There is no case with that id or reference.",
    "synthetic": "This is a made-up case. There is no report behind it to read.",
}


def title_of(code: str | None) -> str:
    """Return the words for a code; a code without words stands for itself."""
    return "Not stated" if code is None else _TITLES.get(code, code)
