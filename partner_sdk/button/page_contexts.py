"""Seals a page's context for the fragment of the button's link: its viewer, and the people and messages shown.

Ids, names that others see, and times: never a word that a person wrote (WIRE.md §8.2).

Works from the partner's own folder: the context key, and the key set that was fetched last. Never asks the network
while a page is rendered, and never writes the sealed context anywhere. A page must show the button in every case
here: `make_href` gives the plain link where no context can be made, and reports why to `notify`; `make_token` raises
instead.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, get_args

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.button.snippet import make_link
from partner_sdk.client._partner_state import PartnerProfile, PartnerState
from partner_sdk.client.http import read_clock
from partner_sdk.client.partner import Partner
from partner_sdk.errors import FieldFault, FormatError, KeySetError, ReportAbuseError, ReportError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.button import (
    MAX_ACCOUNTS,
    MAX_LIFETIME_SECONDS,
    MAX_MESSAGES,
    ContextAccount,
    ContextMessage,
    PageContext,
    PlacementId,
    Surface,
    seal_page_context,
)
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    convert,
    describe_mismatch,
    encode,
    format_time,
    list_mismatch_faults,
    make_report_id,
    parse_json_file,
    parse_time,
)
from partner_sdk.wire.sealing import MAX_CONTEXT_STATEMENT_BYTES
from partner_sdk.wire.signing import KeySet, StatementKind, get_active_sealing_key, sign_statement

MAX_FACTS_BYTES: Final = 64 * 1024
# The text of `describe_mismatch` for a field that no model has.
_TOO_MANY: Final = "Object contains an unknown field"
_ID: Final = "Give your own id for it: 1 to 120 characters."
# The valid values of each field that can be wrong in itself, by its place without numbers.
_FITS: Final = {
    "about": f"Give a list of at most {MAX_ACCOUNTS} accounts, or leave it out.",
    "about/account_id": _ID,
    "about/display_name": "Give a name of at most 80 characters, or leave it out.",
    "conversation_id": "Give your own id for it: at most 120 characters, or leave it out.",
    "messages": f"Give a list of at most {MAX_MESSAGES} messages, or leave it out.",
    "messages/message_id": _ID,
    "messages/sent_at": "Give a time like 2026-11-25T08:30:00Z, or leave it out.",
    "placement": "Give the link id from the agency, e.g. example-chat-profile.",
    "surface": f"Give one of {', '.join(get_args(Surface))}.",
    "viewer": "Give an object with account_id and optionally display_name, or leave it out.",
    "viewer/account_id": _ID,
    "viewer/display_name": "Give a name of at most 80 characters, or leave it out.",
}
# base64url writes 3 bytes in 4 characters.
_BYTES, _CHARACTERS = 3, 4


class PageFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rendered page. `viewer` is the account that sees it, `about` are the accounts that it shows.

    At most 5 accounts, 20 messages, 120 characters for an id, 80 for a name that others see; times as in
    2026-11-25T08:30:00Z. All together must fit 4 KiB when sealed: ids of 36 characters leave room for all of it.
    """

    placement: PlacementId
    surface: Surface
    about: Annotated[tuple[ContextAccount, ...], Meta(max_length=MAX_ACCOUNTS)] = ()
    conversation_id: Annotated[str, Meta(max_length=120)] = ""
    messages: Annotated[tuple[ContextMessage, ...], Meta(max_length=MAX_MESSAGES)] = ()
    viewer: ContextAccount | None = None


_PARTS: Final[dict[str, type[msgspec.Struct]]] = {
    "#/about": ContextAccount,
    "#/messages": ContextMessage,
    "#/viewer": ContextAccount,
}


def parse_page_facts(raw: bytes) -> PageFacts:
    """Read facts from a JSON file; raises `FormatError`, and `ReportError` as `check_page_facts`."""
    value = parse_json_file(raw, max_bytes=MAX_FACTS_BYTES)
    return _convert(value)


def check_page_facts(facts: PageFacts) -> None:
    """Raise `ReportError` (`malformed`, with JSON pointers) for facts that a page context cannot hold.

    Facts that a program put together are not checked by their types alone.
    """
    try:
        value = msgspec.to_builtins(facts)
    except (TypeError, msgspec.ValidationError):
        raise _mismatch("A fact about the page has a type that JSON does not have.", ()) from None
    _convert(value)


def list_too_long(facts: PageFacts, *, overshoot_bytes: int) -> Iterator[FieldFault]:
    """Yield parts to leave out until the facts fit: messages from the last one back, then accounts, the longest first.

    `overshoot_bytes` is how many bytes of the signed statement, which is base64url around the facts, are too many.
    """
    left = -(-overshoot_bytes * _BYTES // _CHARACTERS)
    accounts = sorted(enumerate(facts.about), key=lambda one: len(encode(one[1])), reverse=True)
    parts = [
        *((f"#/messages/{place}", facts.messages[place]) for place in reversed(range(len(facts.messages)))),
        *((f"#/about/{place}", account) for place, account in accounts),
        ("#/viewer", facts.viewer),
        ("#/conversation_id", facts.conversation_id),
    ]
    for pointer, part in parts:
        if left <= 0:
            return
        if part:
            size = len(encode(part))
            left -= size
            yield FieldFault(pointer, f"Leave this out, or shorten it: it takes {size} bytes.")


def _convert(value: object) -> PageFacts:
    try:
        facts = convert(value, kind=PageFacts)
    except msgspec.ValidationError as error:
        said = describe_mismatch(error, kind=PageFacts)
        if said.startswith(_TOO_MANY):
            raise _mismatch(*_describe_too_many(said)) from None
        told = tuple(_format_fault(one) for one in list_mismatch_faults(said))
        raise _mismatch(
            "The page's facts do not match their model."
            if told
            else f"The page's facts do not match their model: {said}",
            told,
        ) from None
    faults = tuple(_list_time_faults(facts))
    if faults:
        raise _mismatch("A time of the page is not in the right form.", faults)
    return facts


def _describe_too_many(said: str) -> tuple[str, tuple[FieldFault, ...]]:
    """Return the words and the fault for a field that is none of ours, whose name is never repeated."""
    places = [fault.pointer for fault in list_mismatch_faults(said)]
    pointer = places[0] if places else "#"
    kind = next((kind for part, kind in _PARTS.items() if pointer.startswith(part)), PageFacts)
    names = ", ".join(kind.__struct_fields__)
    return "The page's facts have an unknown field.", (FieldFault(pointer, f"Keep only {names}."),)


def _format_fault(fault: FieldFault) -> FieldFault:
    """Return a fault with the valid values, where the table knows its place."""
    names = "/".join(one for one in fault.pointer.split("/")[1:] if not one.isdecimal())
    return FieldFault(fault.pointer, _FITS.get(names, fault.detail))


def _list_time_faults(facts: PageFacts) -> Iterator[FieldFault]:
    for place, message in enumerate(facts.messages):
        try:
            if message.sent_at:
                parse_time(message.sent_at)
        except FormatError:
            yield FieldFault(f"#/messages/{place}/sent_at", "Give a time like 2026-11-25T08:30:00Z, or leave it out.")


def _mismatch(words: str, faults: tuple[FieldFault, ...]) -> ReportError:
    return ReportError(words, reason="malformed", faults=faults)


# Long enough for a page that stays open in a tab through an evening.
DEFAULT_LIFETIME_SECONDS: Final = 12 * 60 * 60
RENEWAL_SECONDS: Final = 6 * 60 * 60


@dataclass(frozen=True, slots=True)
class _Keys:
    """The folder's keys at one moment: replaced whole, so that no thread sees half of a change."""

    context_key: Ed25519PrivateKey
    key_set: KeySet
    expires_at: datetime


class PageContexts:
    """Makes contexts for one long-running server; every method may be called by any thread.

    Make one for each process, after the server has forked: a thread does not come along through a fork.
    """

    def __init__(
        self, state: PartnerState, *, clock: Callable[[], datetime], notify: Callable[[str], None], keys: _Keys
    ) -> None:
        self._state = state
        self._clock = clock
        self._notify = notify
        self._keys = keys

    @classmethod
    def open(
        cls, folder: Path, *, clock: Callable[[], datetime] = read_clock, notify: Callable[[str], None] = lambda _: None
    ) -> "PageContexts":
        """Read the context key and the newest key set of an enrolled partner's folder, without any network.

        A key set that has expired is read all the same: until it is renewed there are plain links. `notify` gets a
        line when a link has no context, or the key set cannot be renewed. Raises `LocalStateError`, `KeySetError`.
        """
        state = PartnerState.open(folder)
        return cls(state, clock=clock, notify=notify, keys=_read_keys(state, now=clock()))

    @property
    def profile(self) -> PartnerProfile:
        """The partner's id, environment and address."""
        return self._state.profile

    def make_href(self, facts: PageFacts, *, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS) -> str:
        """Return the button's address for one page, with its context behind `#` where one can be made now.

        E.g. `https://report.example/?from=example-chat-dm#context=...`. The lifetime is at most a day (86,400 seconds).
        Raises `FormatError` only for a malformed placement, which has no link.
        """
        try:
            token = self.make_token(facts, lifetime_seconds=lifetime_seconds)
        except ReportAbuseError as error:
            self._notify(f"This link has no context ({error.reason}): {error}")
            return self.make_plain_href(facts.placement)
        return make_link(self.profile.origin, placement=facts.placement, context=token)

    def make_plain_href(self, placement: str) -> str:
        """Return the button's address without a context; raises `FormatError` for a misspelled placement."""
        return make_link(self.profile.origin, placement=placement)

    def make_token(self, facts: PageFacts, *, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS) -> str:
        """Return the sealed context of one page, for `#context=`. Each rendering of a page gets its own.

        Raises `ReportError` (`malformed`, `too-large`) with pointers to the mismatches, `KeySetError` (`expired`)
        for a key set that is too old, `SealingError` (`no-active-key`) when the agency has no key to seal to now, and
        `FormatError` (`malformed`) for a lifetime that is none or longer than a day.
        """
        check_page_facts(facts)
        if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
            raise FormatError(f"A context is valid for 1 to {MAX_LIFETIME_SECONDS} seconds.", reason="malformed")
        keys, now = self._keys, self._clock()
        if now >= keys.expires_at:
            raise KeySetError("The key set has expired: renew it first.", reason="expired")
        sealing_key = get_active_sealing_key(keys.key_set, now=now)
        context = PageContext(
            about=facts.about,
            context_id=make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES)),
            conversation_id=facts.conversation_id,
            environment=self.profile.environment,
            expires_at=format_time(now + timedelta(seconds=lifetime_seconds)),
            issued_at=format_time(now),
            messages=facts.messages,
            partner=self.profile.partner,
            placement=facts.placement,
            surface=facts.surface,
            viewer=facts.viewer,
        )
        try:
            sealed = seal_page_context(context, context_key=keys.context_key, sealing_key=sealing_key)
        except FormatError as error:
            if error.reason != "too-large":
                raise
            raise _too_large(facts, context, context_key=keys.context_key) from None
        return sealed.to_token()

    def renew(self, *, ca_file: Path | None = None, session: requests.Session | None = None) -> bool:
        """Fetch the key set and read the keys again; return whether that worked. Waits for the network.

        Also reads new keys after `keys rotate`. A failure is reported to `notify`, and the old keys stay in use.
        """
        try:
            partner = Partner.open(self._state.folder, ca_file=ca_file, session=session, clock=self._clock)
            try:
                partner.refresh_key_set()
            finally:
                partner.close()
            self._keys = _read_keys(self._state, now=self._clock())
        except ReportAbuseError as error:
            self._notify(f"The key set could not be renewed ({error.reason}): {error}")
            return False
        return True

    @contextmanager
    def renewing(self, *, ca_file: Path | None = None, every_seconds: float = RENEWAL_SECONDS) -> Iterator[None]:
        """Renew at once and then again and again, in a thread of its own, until the block ends."""
        is_over = threading.Event()

        def go_on() -> None:
            while not is_over.is_set():
                self.renew(ca_file=ca_file)
                is_over.wait(every_seconds)

        thread = threading.Thread(target=go_on, name="report-abuse-key-set", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Never waited for: a server that ends must not hang on a network that does not answer.
            is_over.set()


def _read_keys(state: PartnerState, *, now: datetime) -> _Keys:
    key_set = state.read_key_set(now=now, allow_expired=True)
    context_key = load_signing_key(state.read_key(KeyRole.CONTEXT))
    return _Keys(context_key=context_key, key_set=key_set, expires_at=parse_time(key_set.expires_at))


def _too_large(facts: PageFacts, context: PageContext, *, context_key: Ed25519PrivateKey) -> ReportError:
    raw = sign_statement(context, kind=StatementKind.PAGE_CONTEXT, private_keys=(context_key,))
    overshoot = len(raw) - MAX_CONTEXT_STATEMENT_BYTES
    return ReportError(
        f"The page's facts are {overshoot} bytes over the limit of 4 KiB.",
        reason="too-large",
        faults=tuple(list_too_long(facts, overshoot_bytes=overshoot)),
    )
