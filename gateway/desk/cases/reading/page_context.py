"""Lays out what a service says of the page with its button: what became of it in plain words, then the claim itself.

Never says more than is proven: it is what the service says, and whoever reads it decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.desk.cases.page_contexts import ContextOutcome, JudgedContext
from gateway.desk.cases.reading.blocks import format_moment
from gateway.desk.placements.register import SURFACE_TITLES
from partner_sdk.wire.page_context import ContextAccount, PageContext

TITLE: Final = "What the service says of the page"
NEVER_NAME: Final = (
    "This account is of the person who reports.",
    "Never name it to the service, in an answer or a question: that would tell it who reported.",
)

_VERDICTS: Final[dict[ContextOutcome, tuple[str, str]]] = {
    "holds": ("It holds.", "{partner} signed it for this place of its button, and it came in time."),
    "expired": (
        "It is of another time.",
        (
            "{partner} signed it for this place of its button, but its time does not fit the time at which this "
            "report came. It may have been copied."
        ),
    ),
    "elsewhere": (
        "It is from another service or another place.",
        (
            "{partner} signed it, but not for the place of the button that this report names. Somebody else may have "
            "put it into the link."
        ),
    ),
    "key-ended": (
        "Its key had ended.",
        (
            "It is signed with a key that {partner} had lost, or that was stopped. Anybody may have made it: what it "
            "says is not shown."
        ),
    ),
    "forged": (
        "It is forged, or made by a faulty program.",
        (
            "It says that it comes from {partner}, and no key of theirs has signed it so. What it says is not shown. "
            "Anybody can put one into a link, so it raises no alert."
        ),
    ),
    "unreadable": (
        "It cannot be opened.",
        "It was altered on the way, is misspelled, or its key is gone here.",
    ),
    "refused": (
        "The form could not take along what the service passed on.",
        "It was too long or misspelled, or left no room for what was typed. If it goes on, tell the service.",
    ),
}


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One thing that the service says; `is_sensitive` is the account of who reports."""

    title: str
    text: str
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class ContextView:
    """What is shown of a context: `code` for machines, what became of it, what else to know, and the claim."""

    code: ContextOutcome
    verdict: tuple[str, str]
    is_doubted: bool
    notices: tuple[tuple[str, str], ...]
    lines: tuple[ContextLine, ...]


def make_context_view(judged: JudgedContext | None) -> ContextView | None:
    """Return what is shown of a context; None where none came."""
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
        yield f"The very same came with {reports}: {named}{more}.", "The same person may have reported twice."
    if any(line.is_sensitive for line in lines):
        yield NEVER_NAME


def _list_lines(claim: PageContext) -> Iterator[ContextLine]:
    yield ContextLine("Service", claim.partner)
    yield ContextLine("Kind of page", SURFACE_TITLES.get(claim.surface, claim.surface))
    yield ContextLine("Place of the button", claim.placement)
    if claim.viewer is not None:
        yield ContextLine("Account of the person who reports", _format_account(claim.viewer), is_sensitive=True)
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
