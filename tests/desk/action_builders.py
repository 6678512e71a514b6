"""Assessed cases with actions in every state."""

import hashlib
from datetime import datetime
from typing import Any

from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.ledger import EntriesTaken, Unsigned, collect_entries, draft_action, release_action
from gateway.desk.cases.actions.model import ASKING, Action, get_action
from gateway.desk.cases.assessing import count_read
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.exchange.feed import THREAD_ENTRY
from gateway.store.items import keep_item
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import Package, ThreadEntry, encode_body, seal_entry
from tests.builders import PUBLIC_ORIGIN, Door, Partner
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import add_sealed_case
from tests.desk.work_builders import assess

MARKER = "Quetzalcoatlus"
BODY = encode({"marker": MARKER})


def add_assessed(desk: Desk, **changes: Any) -> str:
    """File a public case, read and assess it, and return its id."""
    case_id = open_case(desk, add_sealed_case(desk, marker="", **changes), actor=ACTOR).case.case_id
    assess(desk, case_id)
    return case_id


def draft(desk: Desk, case_id: str | None, *, body: bytes = BODY, actor: str = ACTOR, **changes: Any) -> Action:
    """Draft an action, by default a package as a sealed file to the police of Kent."""
    values: dict[str, Any] = {"kind": "package", "recipient": "kent", "way": "sealed-file", **changes}
    with desk.store.write() as connection:
        if values["kind"] == "package" and case_id is not None and "covers" not in values:
            values["covers"] = count_read(connection, get_case(connection, case_id))
        return draft_action(desk, connection, case_id=case_id, body=body, actor=actor, **values)


def release(desk: Desk, action: Action, *, actor: str = ACTOR, not_before: datetime | None = None) -> Action:
    """Release a draft: a request, or a package or alert that the duty officer sends alone."""
    signature: Unsigned = "one-person" if action.kind in ASKING else "sent-alone"
    with desk.store.write() as connection:
        return release_action(
            desk, connection, action.action_id, signature=signature, actor=actor, not_before=not_before
        )


def reread(desk: Desk, action: Action) -> Action:
    """Return an action as it is now."""
    with desk.store.read() as connection:
        return get_action(connection, action.action_id)


def put_away(desk: Desk, key: str, *, on: datetime) -> None:
    """Retire a destination in the desk's own file."""
    own = f'[{key}]\nretired_on = {on:%Y-%m-%d}\nchecked_on = {on:%Y-%m-%d}\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    load_register.cache_clear()  # a desk reads it once


def give_mailbox(desk: Desk, key: str, *, partner: str) -> None:
    """Let a destination read in the mailbox of a partner, in the desk's own file."""
    own = f'[{key}]\nchannel = "mailbox"\npartner = "{partner}"\nchecked_on = 2026-11-25\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    load_register.cache_clear()  # a desk reads it once


def make_package(marker: str = MARKER) -> bytes:
    """Return the body of a small package."""
    archive = marker.encode()
    digest = hashlib.sha256(archive).hexdigest()
    return encode_body(
        Package(archive=to_base64url(archive), archive_sha256=digest, title="A case in Kent", urgent=True)
    )


def release_package(
    loop: Loop, case_id: str | None = None, *, not_before: datetime | None = None, **changes: Any
) -> Action:
    """Release a package to Kent, which reads in the mailbox of the loop's partner."""
    give_mailbox(loop.desk, "kent", partner=loop.partner.partner)
    case_id = case_id or add_assessed(loop.desk)
    one = draft(loop.desk, case_id, **{"body": make_package(), "way": "mailbox", **changes})
    return release(loop.desk, one, not_before=not_before)


def make_entry(loop: Loop, about: str, *, partner: Partner | None = None, **changes: Any) -> ThreadEntry:
    """Return a partner's entry about a message, by default an acknowledgement by name."""
    partner = partner or loop.partner
    values = {"kind": "acknowledge", "by": "DC Example", "text": "", "entry_id": loop.desk.make_id(), **changes}
    return ThreadEntry(
        about=about,
        created_at=format_time(loop.clock()),
        environment="live",
        partner=partner.partner,
        **values,
    )


def post_entry(loop: Loop, entry: ThreadEntry, *, partner: Partner | None = None, key: Any = None) -> int:
    """Post an entry through the real industry door, and return the status of the answer."""
    partner = partner or loop.partner
    post = seal_entry(entry, submission_key=key or partner.submission_key, agency_key=loop.sealing_key())
    door = Door(loop.open_app("industry"), PUBLIC_ORIGIN, loop.clock, key=partner.submission_key)
    return door.post(f"/v1/mailbox/{entry.about}/entries", post).status_code


def put_entry(loop: Loop, entry: ThreadEntry, *, address: str, key: Any = None) -> None:
    """Put an entry into the gateway's own store, as its operator could, past every check."""
    post = seal_entry(entry, submission_key=key or loop.partner.submission_key, agency_key=loop.sealing_key())
    box = parse_base64url(post.envelope)
    keep_item(loop.gateway.store, THREAD_ENTRY, address=address, item_id=entry.entry_id, envelope=box, now=loop.clock())


def collect_threads(loop: Loop) -> EntriesTaken:
    """Collect the entries that wait at the gateway."""
    return collect_entries(loop.desk, loop.desk.make_feed(), actor=ACTOR)
