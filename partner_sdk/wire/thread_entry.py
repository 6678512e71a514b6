"""Entries of a partner in the thread of a message: signed by it, then sealed to the agency (WIRE.md §9.6).

An entry acknowledges a package by name, asks, answers, brings an outcome or declines. The gateway reads none: it knows
only which of the partner's own messages it is about. The agency's entries are messages of kind `thread-message`.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.action_bodies import (
    MAX_ENTRY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    Code,
    EntryText,
    Name,
    check_filled,
)
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time, to_base64url
from partner_sdk.wire.envelope import SealContext
from partner_sdk.wire.field_types import EntryId, base64url_of
from partner_sdk.wire.keys import Environment, SealingKey
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import StatementKind, open_statement, sign_statement
from partner_sdk.wire.submission import AGENCY, check_partner_id

# 20,000 characters, each escaped at worst (`\\u0000`), in base64url inside the statement, with its names.
MAX_ENTRY_STATEMENT_BYTES: Final = 168 * 1024
MAX_ENTRY_ENVELOPE_BYTES: Final = 176 * 1024
MAX_ENTRY_BODY_BYTES: Final = 256 * 1024

EntryKind = Literal["acknowledge", "question", "answer", "outcome", "note", "decline"]
# What became of a package, the most hopeful first; a reader takes any other code of this spelling.
PACKAGE_OUTCOMES: Final = {
    "safeguarded": "The child is safeguarded.",
    "located": "The child is located.",
    "identified": "The child is identified.",
    "suspect_identified": "A suspect is identified.",
    "arrested": "A suspect is arrested.",
    "charged": "A suspect is charged.",
    "passed_overseas": "Passed to a body overseas.",
    "no_crime": "No crime.",
    "not_traceable": "Nobody could be traced.",
}


class ThreadEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry. `about` is the `message_id` of the first message of the thread, `by` its writer.

    `outcome` belongs to the kind `outcome` alone. `report_id` is a report of the same partner that carries the data.
    """

    about: str
    by: Name
    created_at: str
    entry_id: str
    environment: Environment
    kind: EntryKind
    outcome: Code | None = None
    partner: str
    report_id: str | None = None
    text: EntryText


class EntryPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/mailbox/{message_id}/entries`: the box in base64url, and the id that it is sealed under."""

    entry_id: EntryId
    envelope: Annotated[str, base64url_of("The sealed entry.", "AQAAAAAAAAAA", most_bytes=MAX_ENTRY_ENVELOPE_BYTES)]


def entry_context(*, environment: str, partner: str, entry_id: str) -> SealContext:
    """Return the context of the box of an entry."""
    return SealContext(
        environment=environment, purpose="thread", sender=partner, recipient=AGENCY, id=entry_id, kind="entry"
    )


def seal_entry(entry: ThreadEntry, *, submission_key: Ed25519PrivateKey, agency_key: SealingKey) -> EntryPost:
    """Sign and seal an entry; raises `FormatError` for one that no reader would take, e.g. a blank question."""
    check_entry(entry)
    # A model is checked when it is read, not when it is made.
    for what, value, most in (("text", entry.text, MAX_ENTRY_CHARACTERS), ("name", entry.by, MAX_NAME_CHARACTERS)):
        if len(value) > most:
            raise FormatError(f"A {what} can have up to {most:,} characters.", reason=f"{what}-too-long")
    parse_exact(encode(entry), kind=ThreadEntry, max_bytes=MAX_ENTRY_STATEMENT_BYTES)
    signed = sign_statement(entry, kind=StatementKind.THREAD_ENTRY, private_keys=(submission_key,))
    context = entry_context(environment=entry.environment, partner=entry.partner, entry_id=entry.entry_id)
    envelope = seal(signed, key=agency_key, context=context)
    return EntryPost(entry_id=entry.entry_id, envelope=to_base64url(envelope.to_bytes()))


def open_entry(raw: bytes, *, keys: Mapping[str, bytes], environment: str, partner: str, entry_id: str) -> ThreadEntry:
    """Return the entry that a statement (`raw`, the opened box) carries, for the desk.

    `keys` are the submission keys of the partner that count, by id. Raises `FormatError` for an entry that cannot be
    read, `StatementError` for one that is not the partner's (`unknown-key`, `bad-signature`, `wrong-kind`,
    `wrong-signature-count`, `wrong-sender`, `wrong-entry`).
    """
    entry = open_statement(
        raw,
        kind=StatementKind.THREAD_ENTRY,
        keys=keys,
        payload_type=ThreadEntry,
        max_bytes=MAX_ENTRY_STATEMENT_BYTES,
    )
    check_entry(entry)
    if (entry.partner, entry.environment) != (partner, environment):
        raise StatementError("The entry is another partner's, or of another environment.", reason="wrong-sender")
    if entry.entry_id != entry_id:
        raise StatementError("The entry has a different id inside and outside.", reason="wrong-entry")
    return entry


def check_entry(entry: ThreadEntry) -> None:
    """Raise `FormatError` unless the entry has everything that its kind needs."""
    check_partner_id(entry.partner)
    for one in (entry.about, entry.entry_id, *(() if entry.report_id is None else (entry.report_id,))):
        check_report_id(one)
    parse_time(entry.created_at)
    check_filled(by=entry.by)
    if (entry.outcome is not None) != (entry.kind == "outcome"):
        raise FormatError("An outcome has a code, and no other entry has one.", reason="malformed")
    is_carried = entry.kind == "answer" and entry.report_id is not None
    if entry.kind in {"question", "answer", "note", "decline"} and not is_carried:
        check_filled(text=entry.text)
