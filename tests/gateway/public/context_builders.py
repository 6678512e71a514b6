"""Page contexts as the form gets them: properly sealed ones, and unopenable boxes."""

from datetime import timedelta
from typing import Any

from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.button import ContextAccount, PageContext, SealedPageContext, seal_page_context
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.sealing import OVERHEAD_BYTES, Envelope
from tests.builders import DAY, NOW, Agency, Partner, sealing_key_of

CONTEXT_ID = "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18"
VIEWER = ContextAccount(account_id="acc-20417-viewer", display_name="sam.example")


def make_context(**changes: Any) -> PageContext:
    """Return the facts of one page of the example partner, made now and good for an hour."""
    fields: dict[str, Any] = {
        "about": (ContextAccount(account_id="acc-99120", display_name="blue_kite"),),
        "context_id": CONTEXT_ID,
        "environment": "live",
        "expires_at": format_time(NOW + timedelta(hours=1)),
        "issued_at": format_time(NOW),
        "partner": Partner().partner,
        "placement": Partner().partner,
        "surface": "chat",
        "viewer": VIEWER,
    }
    return PageContext(**(fields | changes))


def make_token(agency: Agency, *, partner: Partner | None = None, **changes: Any) -> str:
    """Return a token that the agency can open, signed by a partner."""
    key = sealing_key_of(agency.key(KeyRole.SEALING), seal_until=NOW + 90 * DAY, open_until=NOW + 200 * DAY)
    context_key = load_signing_key((partner or Partner()).key(KeyRole.CONTEXT))
    return seal_page_context(make_context(**changes), context_key=context_key, sealing_key=key).to_token()


def make_closed_token(padded_bytes: int = 1024) -> str:
    """Return a well-formed token around a box that no key opens."""
    box = Envelope(key_id=bytes(8), box=bytes(OVERHEAD_BYTES - 15 + padded_bytes))
    return SealedPageContext(partner="example-chat", context_id=CONTEXT_ID, envelope=box).to_token()
