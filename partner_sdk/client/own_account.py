"""What this partner registers of itself: signed, and kept in its folder as it was sent.

```
account.json   what was sent last, when, and whether the gateway has it
```

Never says that the agency has accepted it: a person there decides, and calls when something is missing.
"""

import secrets
from datetime import datetime

import msgspec

from partner_sdk.client.partner_state import PartnerState
from partner_sdk.durable_files import find_bytes, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.wire.account import AccountChange, AccountPost, sign_registration
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, encode, format_time, make_report_id, parse_exact
from partner_sdk.wire.registration import Registration

MAX_SENT_BYTES = 256 * 1024

_NAME = "account.json"


class SentRegistration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was sent last. `post` is None where it went inside the enrolment, `sent_at` while it did not arrive."""

    change_id: str
    made_at: str
    post: AccountPost | None
    registration: Registration
    sent_at: str | None


def make_registration_change(state: PartnerState, registration: Registration, *, now: datetime) -> AccountChange:
    """Return the change that carries a registration of this partner, to be signed."""
    return AccountChange(
        change_id=make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES)),
        created_at=format_time(now),
        environment=state.profile.environment,
        keys=None,
        partner=state.profile.partner,
        registration=registration,
    )


def find_sent_registration(state: PartnerState) -> SentRegistration | None:
    """Return what was sent last, or None; raises `LocalStateError` for a damaged file."""
    raw = find_bytes(state.folder / _NAME)
    if raw is None:
        return None
    try:
        return parse_exact(raw, kind=SentRegistration, max_bytes=MAX_SENT_BYTES)
    except FormatError:
        raise LocalStateError(f"{state.folder}/{_NAME} is damaged.", reason="damaged-state") from None


def save_sent_registration(state: PartnerState, sent: SentRegistration) -> None:
    """Keep what is sent, before and after."""
    write_durably(state.folder / _NAME, encode(sent))


def sign_enrolled_registration(state: PartnerState, registration: Registration, *, now: datetime) -> bytes:
    """Return the statement that goes inside an enrolment, and note it as sent: it can not go twice."""
    change = make_registration_change(state, registration, now=now)
    sent = SentRegistration(
        change_id=change.change_id,
        made_at=change.created_at,
        post=None,
        registration=registration,
        sent_at=change.created_at,
    )
    save_sent_registration(state, sent)
    return sign_registration(change, submission_key=state.load_submission_key())


def check_same_registration(state: PartnerState, registration: Registration) -> None:
    """Raise `LocalStateError` (`box-sealed`) unless the box that is sealed already holds this very registration."""
    sent = find_sent_registration(state)
    if sent is None or sent.registration != registration:
        raise LocalStateError(
            "The enrolment is sealed already, without this registration: send it with account update once the agency "
            "has approved you.",
            reason="box-sealed",
        )


def remove_sent_registration(state: PartnerState) -> None:
    """Take away the note of a registration, when the gateway refused the enrolment that it was in."""
    (state.folder / _NAME).unlink(missing_ok=True)
