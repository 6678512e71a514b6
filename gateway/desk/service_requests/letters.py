"""The letter to a service without keys: one request on paper, with a reference for the answer.

Never names the case, its reporter or another service. The reference is the request's own, made from its id.
"""

import hashlib
from typing import Final

from gateway.desk.actions.model import Action
from gateway.desk.service_requests.contents import Content
from gateway.desk.uk_times import format_uk_day_of
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.mailbox import ACCOUNT_KINDS

TITLES: Final = {
    "information-request": "Request for information",
    "preservation-request": "Request to preserve data",
}
# Crockford's letters: none is taken for another on paper.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE_LETTERS: Final = 10


def make_reference(action_id: str) -> str:
    """Return the reference of a request, e.g. `RQ-7Q2K9-XM4TD`: the same for the same id, and nothing of a case."""
    number = int.from_bytes(hashlib.sha256(action_id.encode()).digest())
    letters = "".join(_LETTERS[number >> (5 * place) & 31] for place in range(_REFERENCE_LETTERS))
    return f"RQ-{letters[:5]}-{letters[5:]}"


def draw_letter(action: Action, content: Content, *, agency: str, signed_by: str) -> bytes:
    """Return the letter as PDF, the same bytes each time. `signed_by` is the officer as the reader is to see them."""
    # Imported here: the library of PDFs brings a third of a second that a process without paper does not need.
    from gateway.desk.paper import Paper

    reference, title = make_reference(action.action_id), TITLES[action.kind]
    made_at = action.released_at or action.drafted_at
    paper = Paper(title=f"{title} {reference}", made_at=parse_time(made_at), foot=f"{agency}, {reference}", head="")
    paper.write_text(agency, is_bold=True)
    paper.write_text(f"{content.name}\n{content.address}")
    paper.write_text(format_uk_day_of(made_at))
    paper.write_heading(title, level=1)
    paper.write_facts(
        [
            ("Our reference", reference),
            ("Answer by", format_uk_day_of(content.due_at)),
            *([("Keep until", format_uk_day_of(content.preserve_until))] if content.preserve_until else []),
            ("Law", content.legal_basis),
        ]
    )
    paper.write_heading("The account" if len(content.accounts) == 1 else "The accounts")
    paper.write_facts([(ACCOUNT_KINDS.get(one.kind, one.kind), one.value) for one in content.accounts])
    if content.question:
        paper.write_heading("The question")
        paper.write_text(content.question)
    else:
        paper.write_heading("What we ask you to keep")
        paper.write_text(
            "Please keep unchanged all data that you hold now about this account, until the day above. We ask for no "
            "disclosure by this letter. Please confirm that it is kept by the day for your answer."
        )
    paper.write_heading("Why we ask")
    paper.write_text(content.purpose)
    paper.write_notice(
        "Do not tell the holder of an account, or anyone else, that we asked. Please put our reference on each sheet "
        "and file of your answer. If you hold nothing, or may not answer, please tell us so.",
        title="Please treat this as confidential",
    )
    paper.write_text(f"{signed_by}\nSingle point of contact", gap=1)
    return paper.render()
