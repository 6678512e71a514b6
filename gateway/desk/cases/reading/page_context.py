"""Lays out a service's description of its page: first the verdict in plain words, then the claim itself.

Never shows more than is proven: it is the service's claim, and the reader decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.desk.cases.page_contexts import ContextOutcome, JudgedContext
from gateway.desk.cases.reading.blocks import format_moment
from gateway.desk.placements.register import SURFACE_TITLES
from partner_sdk.wire.page_context import ContextAccount, PageContext

TITLE: Final = "What the service says about the page"
NEVER_NAME: Final = (
    "This account belongs to the person reporting.",
    "Never name it to the service, in an answer or a question: the service would learn who reported.",
)

_VERDICTS: Final[dict[ContextOutcome, tuple[str, str]]] = {
    "holds": ("Verified.", "{partner} signed it for this placement, and it arrived in time."),
    "expired": (
        "Its time does not match.",
        ("{partner} signed it for this placement, but at another time than this report. It may have been copied."),
    ),
    "elsewhere": (
        "It comes from another service or another placement.",
        (
            "{partner} signed it, but not for the placement in this report. Another person may have "
            "put it into the link."
        ),
    ),
    "key-ended": (
        "Its key had already ended.",
        (
            "It is signed with a key that {partner} lost or that was stopped. Anyone may have made "
            "it, so its content is not shown."
        ),
    ),
    "forged": (
        "It is forged or comes from a faulty program.",
        (
            "It names {partner} as its source, but none of their keys signed it, so its content is "
            "not shown. Anyone can put one into a link, so it raises no alert."
        ),
    ),
    "unreadable": (
        "It cannot be opened.",
        "It was altered on the way, is malformed, or this desk no longer has its key.",
    ),
    "refused": (
        "The form could not attach the page context from the service.",
        (
            "It was too long or malformed, or left too little room for the person's own words. If "
            "this keeps happening, tell the service."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One claim by the service; `is_sensitive` marks the account of the person reporting."""

    title: str
    text: str
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class ContextView:
    """The displayed context: `code` for machines, the verdict, further notices, and the claim."""

    code: ContextOutcome
    verdict: tuple[str, str]
    is_doubted: bool
    notices: tuple[tuple[str, str], ...]
    lines: tuple[ContextLine, ...]


def make_context_view(judged: JudgedContext | None) -> ContextView | None:
    """Return the view of a context; None if there is none."""
    if judged is None:
        return None
    head, rest = _VERDICTS[judged.outcome]
    lines = tuple(_list_lines(judged.claim)) if judged.claim is not None else ()
    return ContextView(
        code=judged.outcome,
        verdict=(head, rest.format(partner=judged.partner)),
        is_doubted=judged.outcome != "holds",
        notices=tuple(_list_notices(judged, lines)),
        lines=lines,
    )


def _list_notices(judged: JudgedContext, lines: tuple[ContextLine, ...]) -> Iterator[tuple[str, str]]:
    count, references = judged.others.count, judged.others.references
    if count:
        named = ", ".join(references)
        more = f" and {count - len(references)} more" if count > len(references) else ""
        reports = "another report" if count == 1 else f"{count} other reports"
        yield f"An identical one came with {reports}: {named}{more}.", "The same person may have reported twice."
    if any(line.is_sensitive for line in lines):
        yield NEVER_NAME


def _list_lines(claim: PageContext) -> Iterator[ContextLine]:
    yield ContextLine("Service", claim.partner)
    yield ContextLine("Kind of page", SURFACE_TITLES.get(claim.surface, claim.surface))
    yield ContextLine("Place of the button", claim.placement)
    if claim.viewer is not None:
        yield ContextLine("Account of the person reporting", _format_account(claim.viewer), is_sensitive=True)
    for account in claim.about:
        yield ContextLine("Account on the page", _format_account(account))
    if claim.conversation_id:
        yield ContextLine("Conversation", claim.conversation_id)
    for message in claim.messages:
        sent = f", sent {format_moment(message.sent_at)}" if message.sent_at else ""
        yield ContextLine("Message", f"{message.message_id}{sent}")
    yield ContextLine("Page shown", format_moment(claim.issued_at))
    yield ContextLine("Good until", format_moment(claim.expires_at))
    yield ContextLine("Id of this page", claim.context_id)


def _format_account(account: ContextAccount) -> str:
    return f"{account.account_id} ({account.display_name})" if account.display_name else account.account_id
