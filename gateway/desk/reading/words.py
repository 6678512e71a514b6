"""The words for codes of cases, files, post and digests, in the order in which a form shows them; and for refusals."""

from gateway.desk.digests import tables
from partner_sdk.wire import mailbox_message
from partner_sdk.wire.public_codes import NOT_SURE, NOT_UK

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
    ("replied_by_return_code", "Through the return code alone"),
    ("no_safe_contact", "There is no safe way to reply"),
)
REDIRECTS = (
    ("school_and_app", "Their school and the app"),
    ("childline", "Childline"),
    ("report_harmful_content", "Report Harmful Content"),
    ("app_own_help", "The app's own help"),
    ("iwf", "Internet Watch Foundation"),
    ("police_not_urgent", "Police, not urgent: 101"),
    ("revenge_porn_helpline", "Revenge Porn Helpline"),
    ("other_country", "A body in the country where they live"),
    ("other", "Somebody else"),
)
ASSESSMENT = (
    ("immediate_risk", "Is a child at immediate risk?"),
    ("urgent", "Is it urgent?"),
    ("urgent_dissemination", "Must police or child protection have it urgently?"),
)
KINDS, AGE_BANDS, OUTCOMES, WEAKNESSES = tables.KINDS, tables.AGE_BANDS, tables.OUTCOMES, tables.WEAKNESSES
LANES = (("crisis", "Crisis lane"), ("queue", "Queue"))
DOORS = (("public", "Public form"), ("industry", "Industry"))
STATES = (
    ("drawing", "Not finished"),
    ("made", "Waits for release"),
    ("released", "Released"),
    ("rejected", "Rejected"),
    ("not-eligible", "Not eligible"),
)

# What a case form says when the rules of casework refuse; their own words are for the command line.
CASE_FAULTS = {
    "already-closed": "This case is closed already. Nothing was changed.",
    "not-opened": "Nobody has read this report yet. Open it first.",
    "reply-owed": "A reply is owed to the person who reported. Record the reply below before you close the case.",
    "no-redirect": "Say where they were sent, because this is out of remit.",
    "no-assessor": "Give the name of the person who assessed this.",
    "bad-code": "One of the answers is not on the list. Choose it again.",
    "unknown-case": "There is no case with that id or reference.",
    "synthetic": "This is a made-up case. There is no report behind it to read.",
    "bad-lane": "Choose where the case belongs: the crisis lane or the queue.",
    "bad-score": "Give a score from 0 to 999, or leave it as it is.",
    "move-reason-missing": "Say why you move the case.",
    "reason-too-long": "Make the reason shorter: 300 characters at most.",
    "unprintable": "The text holds signs that no page can show. Take them out.",
    "lowered-unread": (
        "Nobody has read all of this case yet. Open each of its reports first, then move it out of the crisis lane."
    ),
    "not-moved": "The case stands there already. Change the lane or the score.",
    "outcome-waits": "An outcome waits for its day. Take it back before you tell another one.",
    "not-own-duplicate": (
        "“Known already” is told only of what this partner itself had reported. Choose “Used” instead."
    ),
}

# The same for a reply: which field, and what to do about it.
REPLY_FAULTS = {
    "no-text": ("reply_text", "Write the reply first."),
    "unprintable": ("reply_text", "The text holds signs that no page can show. Take them out."),
    "reason-missing": ("reason", "Say why there is no safe way to reply."),
    "return-code-reason-missing": ("counts_reason", "Say why the return code alone is the right way."),
    "reason-too-long": ("reason", "Make the reason shorter: 300 characters at most."),
    "no-sealed-reply": ("code", "No reply was written to the return code yet. Write it first."),
    "no-reply-key": ("reply_text", "This report has no return code. Answer in another way and record it."),
    "not-opened": ("report", "Nobody has read this report yet. Open it first."),
    "first-not-opened": (
        "report",
        "Nobody has read the report that this adds to. Open that first: how to reach them safely is in there.",
    ),
    "not-proven": (
        "reply_text",
        "This is not proven to come from the same person. Nothing is sealed to its key: write from the first report.",
    ),
    "no-place": ("reply_text", "The gateway has no place for this return code any more. Answer in another way."),
    "no-sealing-key": ("reply_text", "No sealing key of the desk is active. Run “report-abuse-desk publish”."),
}
REGIONS = (
    ("england", "England"),
    ("scotland", "Scotland"),
    ("wales", "Wales"),
    ("northern_ireland", "Northern Ireland"),
    (NOT_UK, "Not in the UK"),
    (NOT_SURE, "They are not sure"),
)
CHANNELS = (("email", "E-mail"), ("sms", "Text message"))
POST_STATES = (
    ("waiting", "Waits"),
    ("held", "Held until tomorrow"),
    ("sent", "Sent"),
    ("given_up", "Given up"),
)
# Who sent a case, by the type of the partner.
SOURCES = (
    ("service", "Industry"),
    ("police", "Police"),
    ("child_protection", "Child protection"),
    ("iwf", "Internet Watch Foundation"),
    ("crimestoppers", "Crimestoppers"),
    ("vgt", "Virtual Global Taskforce"),
)
REPORT_KINDS = (
    ("initial", "First report"),
    ("supplement", "Supplement"),
    ("correction", "Correction"),
    ("retraction", "Retraction"),
    ("response", "Answer"),
)
CASE_CHANNELS = (("gateway", "Through the gateway"), ("file", "As a sealed file"))
# What a partner reads for each outcome, beside the words that the desk uses.
TOLD_OUTCOMES = mailbox_message.OUTCOMES
# Where a file is that a report names, by the state that desk/evidence gives it.
FILE_STATES = (
    ("here", "Here, sealed"),
    ("on_the_way", "On the way"),
    ("late", "Late"),
    ("not_handed_over", "With the sender"),
    ("replaced", "Replaced"),
)
PAGE_TARGETS = (("desk", "The desk"), ("out_of_hours", "The out-of-hours body"))

_TITLES = dict(
    (
        *(*YES_NO, *BEST_PLACED, *REPLIES, *REDIRECTS, *KINDS, *AGE_BANDS, *OUTCOMES, *WEAKNESSES, *DOORS, *STATES),
        *(*REGIONS, *CHANNELS, *POST_STATES, *PAGE_TARGETS, *FILE_STATES),
        *(*SOURCES, *REPORT_KINDS, *CASE_CHANNELS),
    )
)


def title_of(code: str | None) -> str:
    """Return the words for a code; a code without words stands for itself."""
    return "Not stated" if code is None else _TITLES.get(code, code)
