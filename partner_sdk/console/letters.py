"""The agency's messages that ask nothing: outcomes, notices, digests and overviews. Knows no request."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.mailbox import OpenedMessage, read_digest, read_message
from partner_sdk.errors import FormatError, MailboxError
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.digest import Digest, DigestNotice, Overview, parse_overview
from partner_sdk.wire.mailbox import (
    BODIES,
    MAX_BODY_BYTES,
    MessageKind,
    OutcomeNote,
    SetAsideNotice,
    Welcome,
    format_outcome,
    parse_body,
)
from partner_sdk.wire.submission import SET_ASIDE_REASONS

OUTCOMES: Final[tuple[MessageKind, ...]] = ("outcome", "set-aside", "welcome", "digest-not-published")
FIGURES: Final[tuple[MessageKind, ...]] = ("digest", "overview")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message with its body, e.g. an `OutcomeNote` or a `Digest`."""

    number: int
    issued_at: str
    body: Any


@dataclass(frozen=True, slots=True)
class News:
    """One line of the front page: new messages, and the page that shows them."""

    title: str
    endpoint: str
    values: dict[str, int]
    issued_at: str


def read_letters(state: PartnerState, kinds: Collection[MessageKind]) -> tuple[list[Letter], list[int]]:
    """Return the messages of these kinds, the newest first, and the numbers of those that cannot be read."""
    letters, unreadable = [], []
    for number in sorted(state.list_messages(), reverse=True):
        opened = read_message(state, number)
        if opened.message.kind not in kinds:
            continue
        try:
            letters.append(Letter(number, opened.message.issued_at, _read_body(state, opened)))
        except (FormatError, MailboxError):
            unreadable.append(number)
    return letters, unreadable


def _read_body(state: PartnerState, opened: OpenedMessage) -> Any:
    kind = opened.message.kind
    if kind == "digest":
        return read_digest(opened, profile=state.profile)
    if kind == "overview":
        return parse_overview(opened.body)
    if kind in {"digest-not-published", "welcome"}:
        return parse_exact(opened.body, kind=BODIES[kind], max_bytes=MAX_BODY_BYTES)
    return parse_body(opened.body, body=BODIES[kind])  # type: ignore[type-var] # it is one of those above


def say_letter(body: Any) -> str:
    """Return a message that asks nothing in one or two sentences."""
    if isinstance(body, OutcomeNote):
        return format_outcome(body.outcome)
    if isinstance(body, SetAsideNotice):
        return SET_ASIDE_REASONS[body.reason]
    if isinstance(body, DigestNotice):
        return f"The agency publishes no digest of {body.period}. There will be none for that period."
    return body.text if isinstance(body, Welcome) else ""


def list_news(state: PartnerState, *, seen: Collection[int]) -> list[News]:
    """Return the new messages for the front page: each digest, and the others in one line."""
    letters = [one for one in read_letters(state, (*OUTCOMES, *FIGURES))[0] if one.number not in seen]
    news = []
    others = [one for one in letters if not isinstance(one.body, (Digest, Overview))]
    if others:
        count = len(others)
        title = f"{count} new outcomes and notices" if count > 1 else "A new outcome or notice"
        news.append(News(title, "outcomes.get_list", {}, others[0].issued_at))
    for one in letters:
        if isinstance(one.body, (Digest, Overview)):
            values = {"number": one.number}
            news.append(News(f"New: {name_figures(one.body)}", "digests.get_digest", values, one.issued_at))
    return news


def name_figures(body: Digest | Overview) -> str:
    """Return what a digest or an overview is of, e.g. `digest of 2026-Q3`."""
    return f"digest of {body.period}" if isinstance(body, Digest) else f"overview of {body.period}, all services"
