"""The second person's signature of one referral or invitation: it covers the action, its recipient and its content."""

from datetime import datetime

from sqlalchemy import Connection

from gateway.desk.actions.model import Action, ActionError
from gateway.desk.cases.model import has_control_characters, normalise
from gateway.desk.people.releases import Release, draft_release, find_release, get_signed
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.mailbox import MAX_ALERT_CHARACTERS


def describe_action(action: Action) -> bytes:
    """Return the bytes that a second person signs; another content has another hash, so its signature is gone."""
    return encode(
        {
            "action": action.action_id,
            "body_sha256": action.body_sha256,
            "case": action.case_id,
            "kind": action.kind,
            "recipient": action.recipient,
        }
    )


def draft_signature(connection: Connection, action: Action, *, by: str, now: datetime) -> None:
    """Enter a drafted action for a second person to sign, as a release of the action's own kind."""
    body = describe_action(action)
    draft_release(connection, kind=action.kind, subject=action.action_id, body=body, by=by, now=now)


def find_signature(connection: Connection, action: Action) -> Release | None:
    """Return the draft of an action's release, signed or not."""
    body = describe_action(action)
    return find_release(connection, kind=action.kind, subject=action.action_id, body=body)


def get_signature(connection: Connection, action: Action) -> Release:
    """Return the signature of an action as it is. Raises `ReleaseError` (`not-signed`, `not-genuine`)."""
    return get_signed(connection, kind=action.kind, subject=action.action_id, body=describe_action(action))


def get_clean_text(text: str, field: str) -> str:
    """Return a text for services. Raises `ActionError` (`no-text`, `too-long`, `unprintable`)."""
    text = normalise(text)
    if not text:
        raise ActionError(f"Fill in the field “{field}”.", reason="no-text")
    if len(text) > MAX_ALERT_CHARACTERS:
        raise ActionError(f"The field “{field}” can have up to {MAX_ALERT_CHARACTERS:,} characters.", reason="too-long")
    if has_control_characters(text):
        raise ActionError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return text
