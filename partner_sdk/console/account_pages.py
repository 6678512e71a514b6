"""Who this organisation is at the agency: its keys, its registration, and a checkup in plain words."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PARTNER_ROLES
from partner_sdk.client.account import describe_rotation, find_sent_registration, renew_keys
from partner_sdk.client.checkup import KEYS_ARE_OLD_AFTER, examine
from partner_sdk.console.page import (
    ErrorLines,
    NavItem,
    describe_error,
    get_console,
    get_state,
    go_to,
    note_act,
    open_partner,
    show_page,
)
from partner_sdk.console.sent_pages import list_spool
from partner_sdk.errors import ReportAbuseError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.enrolment import list_registration_gaps

blueprint = Blueprint("account", __name__)
NAV: Final = NavItem("Account", "account.get_account")
_KEY_WORDS: Final = {
    "submission": "Signs your reports and words",
    "mailbox": "Opens the agency's messages",
    "context": "Seals facts about a page for the button",
}
# The pages that do what the advice of a finding names a command for.
_HERE: Final[dict[str, tuple[str, str]]] = {
    "spool": ("sent.get_list", "Send the waiting reports"),
    "evidence": ("sent.get_list", "Go on with the files"),
    "words": ("agency.get_list", "Send the waiting words"),
    "requests": ("agency.get_list", "Look at the requests"),
    "mailbox": ("agency.get_list", "Collect the messages again"),
}
# The warnings that the part about keys of the same page settles.
_BELOW: Final = {"new keys": "Read both ids below to the agency by phone"} | {
    f"{role.value} key": "Ask for new keys below" for role in PARTNER_ROLES
}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of this organisation."""

    purpose: str
    key_id: str
    made_at: str
    is_old: bool
    new_id: str | None


@blueprint.get("/account")
def get_account() -> Response:
    """Show who this organisation is, its keys and its registration."""
    return _show_account()


def _show_account(
    *, findings: list[Finding] | None = None, error: ErrorLines | None = None, changed_at: str | None = None
) -> Response:
    state, now = get_state(), get_console().clock()
    rotation = describe_rotation(state)
    keys = [(role.value, state.read_key(role)) for role in PARTNER_ROLES]
    sent = find_sent_registration(state)
    return show_page(
        "account.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        keys=[
            KeyRow(
                purpose=_KEY_WORDS.get(name, name),
                key_id=key.key_id,
                made_at=key.created_at,
                is_old=now - parse_time(key.created_at) > KEYS_ARE_OLD_AFTER,
                new_id=rotation.new_key_ids.get(name),
            )
            for name, key in keys
        ],
        rotation=rotation,
        changed_at=changed_at,
        sent=sent,
        gaps=() if sent is None else [one.replace("_", " ") for one in list_registration_gaps(sent.registration)],
        findings=findings,
        urgent=any(one.priority == "P1" for one in list_spool()),
        here=_HERE,
        below=_BELOW,
        error=error,
        folder=str(state.folder),
    )


@blueprint.post("/account/checkup")
def post_checkup() -> Response:
    """Look at everything that a delivery needs, and show each finding."""
    with open_partner() as partner:
        findings = list(examine(partner, now=get_console().clock()))
    worst_first = {"fault": 0, "warning": 1, "ok": 2}
    return _show_account(findings=sorted(findings, key=lambda one: worst_first[one.verdict]))


@blueprint.post("/account/keys")
def post_keys() -> ResponseReturnValue:
    """Ask the agency for new keys, or see how far that is."""
    is_anew = request.form.get("anew") == "yes"
    try:
        with open_partner() as partner:
            renewed = renew_keys(partner, now=get_console().clock(), anew=is_anew)
    except ReportAbuseError as error:
        return _show_account(error=describe_error(error))
    if renewed.changed_at is not None:
        return _show_account(changed_at=renewed.changed_at)
    note_act("keys-renewed", about=renewed.rotation.change_id or renewed.rotation.key_ids["submission"])
    if renewed.rotation.is_done:
        return go_to(".get_account", notice="The new keys are in force here, at the gateway and at the agency.")
    return go_to(".get_account", notice="The agency has to accept the new keys. Read it the key ids below by phone.")
