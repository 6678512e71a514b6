"""Seals what a service says of one rendered page, for the fragment of the button's link (WIRE.md §8.2).

Works from the partner's own folder: the context key, and the key set that was fetched last. Never asks the network
while a page is rendered, and never writes what was sealed anywhere. A page must show the button whatever happens here:
`make_href` gives the plain link where no context can be made, and says why to `notify`; `make_token` raises instead.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.button.page_facts import PageFacts, check_page_facts, list_too_long
from partner_sdk.button.page_links import make_link
from partner_sdk.client._partner_state import PartnerProfile, PartnerState
from partner_sdk.client.http import read_clock
from partner_sdk.client.partner import Partner
from partner_sdk.errors import FormatError, KeySetError, ReportAbuseError, ReportError, SealingError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, format_time, make_report_id, parse_time
from partner_sdk.wire.keys import KeySet, find_active_sealing_key
from partner_sdk.wire.padding import MAX_CONTEXT_STATEMENT_BYTES
from partner_sdk.wire.page_context import MAX_LIFETIME_SECONDS, PageContext, seal_page_context
from partner_sdk.wire.statements import StatementKind, sign_statement

# Long enough for a page that stays open in a tab through an evening.
DEFAULT_LIFETIME_SECONDS: Final = 12 * 60 * 60
RENEWAL_SECONDS: Final = 6 * 60 * 60


@dataclass(frozen=True, slots=True)
class _Keys:
    """What was read from the folder at one moment: replaced whole, so that no thread sees half of a change."""

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
        line when a link has no context, or the key set can not be renewed. Raises `LocalStateError`, `KeySetError`.
        """
        state = PartnerState.open(folder)
        return cls(state, clock=clock, notify=notify, keys=_read_keys(state, now=clock()))

    @property
    def profile(self) -> PartnerProfile:
        """Who this is, and in which environment."""
        return self._state.profile

    def make_href(self, facts: PageFacts, *, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS) -> str:
        """Return the button's address for one page, with its context behind `#` where one can be made now.

        Raises `FormatError` only for a placement that is spelled as none: there is no link then.
        """
        try:
            token = self.make_token(facts, lifetime_seconds=lifetime_seconds)
        except ReportAbuseError as error:
            self._notify(f"This link goes without a context ({error.reason}): {error}")
            return self.make_plain_href(facts.placement)
        return make_link(self.profile.origin, placement=facts.placement, context=token)

    def make_plain_href(self, placement: str) -> str:
        """Return the button's address without a context; raises `FormatError` for what is spelled as no placement."""
        return make_link(self.profile.origin, placement=placement)

    def make_token(self, facts: PageFacts, *, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS) -> str:
        """Return the sealed context of one page, for `#context=`. Each rendering of a page gets its own.

        Raises `ReportError` (`malformed`, `too-large`) with pointers to what does not fit, `KeySetError` (`expired`)
        for a key set that is too old, `SealingError` (`no-active-key`) when the agency has no key to seal to now, and
        `FormatError` (`malformed`) for a lifetime that is none or longer than a day.
        """
        check_page_facts(facts)
        if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
            raise FormatError(f"A context lives for 1 to {MAX_LIFETIME_SECONDS} seconds.", reason="malformed")
        keys, now = self._keys, self._clock()
        if now >= keys.expires_at:
            raise KeySetError("The key set has expired; it must be renewed first.", reason="expired")
        sealing_key = find_active_sealing_key(keys.key_set, now=now)
        if sealing_key is None:
            raise SealingError("The agency has no key to seal to now.", reason="no-active-key")
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
        """Fetch the key set anew and read the keys again; return whether that worked. Waits for the network.

        Reads keys that `keys rotate` has put in force, too. What fails is told to `notify`; the keys before go on.
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
        f"The facts of the page are too long to be sealed: {overshoot} bytes of 4 KiB too many.",
        reason="too-large",
        faults=tuple(list_too_long(facts, overshoot_bytes=overshoot)),
    )
