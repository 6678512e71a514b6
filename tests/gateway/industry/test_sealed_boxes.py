"""The calls that take one sealed box for the desk: changes of an account, entries of threads, enrolments, requests.

Each is kept once, refused in any other spelling, limited, and waits for the desk. Whose they are: test_isolation.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.exchange.feed import (
    ACCOUNT_CHANGE,
    ADOPTION_REQUEST,
    ENROLMENT,
    MAX_ADOPTION_BODY_BYTES,
    MAX_ENROLMENT_BODY_BYTES,
    THREAD_ENTRY,
    ItemKind,
)
from gateway.store.items import put_invitation
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire import problems
from partner_sdk.wire.button import MAX_ADOPTION_ENVELOPE_BYTES
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_BODY_BYTES,
    MAX_ACCOUNT_ENVELOPE_BYTES,
    MAX_ENROLMENT_BYTES,
    SIGNED_CHANGE,
    TEMPLATE,
    AccountChange,
    Invitation,
    seal_account_change,
    seal_enrolment,
    secret_sha256,
)
from partner_sdk.wire.mailbox import MAX_ENTRY_BODY_BYTES, MAX_ENTRY_ENVELOPE_BYTES, ThreadEntry, seal_entry
from partner_sdk.wire.problems import Problem
from tests.builders import (
    NOW,
    PUBLIC_ORIGIN,
    Agency,
    Door,
    House,
    Partner,
    make_box,
    make_house,
    raw_public_key,
    seal_report,
)
from tests.gateway import adoption_builders
from tests.gateway.adoption_builders import MAX_WAITING, fill_up
from tests.gateway.industry.partner_calls import MESSAGE_ID, put_message
from tests.problem_shape import check_problem

PARTNER = Partner()
CHANGE_ID, ENTRY_ID = make_report_id(NOW, bytes(10)), make_report_id(NOW, b"entry-id--")
NEWCOMER = Partner("new-service")
SECRET = bytes(range(32))
HASHED = to_base64url(secret_sha256(SECRET))
ENTRIES = f"/v1/mailbox/{MESSAGE_ID}/entries"
WAITING = b'{"status":"waiting"}'
# A key that comes twice: two readers would see two boxes.
TWICE = b'{"envelope":"A",'


def make_change(agency: Agency) -> Any:
    change = AccountChange(
        change_id=CHANGE_ID,
        created_at=format_time(NOW),
        environment="live",
        keys=None,
        partner=PARTNER.partner,
        registration=TEMPLATE,
    )
    signed = SIGNED_CHANGE.sign(change, load_signing_key(PARTNER.key(KeyRole.SUBMISSION)))
    return seal_account_change(signed, change=change, agency_key=agency.sealing_key)


def make_entry(agency: Agency) -> Any:
    entry = ThreadEntry(
        about=MESSAGE_ID,
        by="Sergeant Anna Example",
        created_at="2026-11-25T08:30:00Z",
        entry_id=ENTRY_ID,
        environment="live",
        kind="acknowledge",
        partner=PARTNER.partner,
        text="",
    )
    return seal_entry(entry, submission_key=PARTNER.submission_key, agency_key=agency.sealing_key)


def make_enrolment(agency: Agency) -> Any:
    """Seal an answer to the invitation as the SDK does."""
    invitation = Invitation(
        environment="live",
        expires_at=format_time(NOW + timedelta(days=7)),
        name="New Service",
        origin=PUBLIC_ORIGIN,
        partner=NEWCOMER.partner,
        next_root_fingerprint=Agency().pin().next_root_fingerprint,
        root_fingerprint=Agency().pin().root_fingerprint,
        secret=to_base64url(SECRET),
    )
    return seal_enrolment(
        invitation,
        submission_key=NEWCOMER.submission_key,
        context_key=Ed25519PrivateKey.from_private_bytes(bytes(32)),
        mailbox_key=raw_public_key(NEWCOMER.key(KeyRole.MAILBOX)),
        agency_key=agency.sealing_key,
    )


@dataclass(frozen=True)
class Call:
    """One of the calls: `known` are the fields beside its envelope, `wrong` the same with an id of no such kind."""

    path: str
    kind: ItemKind
    make: Callable[[Agency], Any]
    known: dict[str, str]
    wrong: dict[str, str]
    most_envelope_bytes: int
    most_body_bytes: int
    address: str
    conflict: Problem
    limit: int

    def list_bad_bodies(self, house: House) -> list[tuple[Any, Problem]]:
        """Return bodies that no client of ours sends, each with its problem."""
        envelope = to_base64url(make_box(house.agency.sealing_key))
        large = to_base64url(make_box(house.agency.sealing_key, size=self.most_envelope_bytes))
        good = self.known | {"envelope": envelope}
        return [
            (b"", problems.MALFORMED_REQUEST),
            (b'{"envelope": "x"}', problems.MALFORMED_REQUEST),
            (encode(good | {"another": "x"}), problems.MALFORMED_REQUEST),
            (encode(good | self.wrong), problems.MALFORMED_REQUEST),
            (encode(good).replace(b"{", TWICE, 1), problems.MALFORMED_REQUEST),
            (encode(good | {"envelope": envelope[:100]}), problems.MALFORMED_ENVELOPE),
            (encode(good | {"envelope": large}), problems.BODY_TOO_LARGE),
            (b"x" * (self.most_body_bytes + 1), problems.BODY_TOO_LARGE),
            (self.make(Agency(name="another-agency")), problems.UNKNOWN_AGENCY_KEY),
        ]


CALLS = {
    "account": Call(
        *("/v1/account", ACCOUNT_CHANGE, make_change, {"change_id": CHANGE_ID}, {"change_id": "../other"}),
        *(MAX_ACCOUNT_ENVELOPE_BYTES, MAX_ACCOUNT_BODY_BYTES, PARTNER.partner, problems.CONFLICTING_MESSAGE, 30),
    ),
    "entries": Call(
        *(ENTRIES, THREAD_ENTRY, make_entry, {"entry_id": ENTRY_ID}, {"entry_id": "../other"}),
        *(MAX_ENTRY_ENVELOPE_BYTES, MAX_ENTRY_BODY_BYTES, PARTNER.partner, problems.CONFLICTING_MESSAGE, 300),
    ),
    "enrol": Call(
        *("/v1/enrol", ENROLMENT, make_enrolment, {"secret_sha256": HASHED}, {"secret_sha256": HASHED[:40]}),
        *(MAX_ENROLMENT_BYTES, MAX_ENROLMENT_BODY_BYTES, HASHED, problems.UNKNOWN_INVITATION, 20),
    ),
    "adoption": Call(
        *("/v1/adoption", ADOPTION_REQUEST, adoption_builders.make_post),
        *({"request_id": adoption_builders.make_id(1)}, {"request_id": "../other"}),
        *(MAX_ADOPTION_ENVELOPE_BYTES, MAX_ADOPTION_BODY_BYTES, "", problems.CONFLICTING_MESSAGE, 20),
    ),
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def invite(house: House, *, expires_in: timedelta = timedelta(days=7)) -> None:
    with house.open_gateway().store.write() as connection:
        expires_at = NOW + expires_in
        put_invitation(connection, secret_sha256=secret_sha256(SECRET), partner=NEWCOMER.partner, expires_at=expires_at)


@pytest.fixture
def doors(house: House) -> Callable[[Call], Door]:
    """Return the caller of a call: the partner, or nobody, at a gateway with a message and an invitation."""
    put_message(house, PARTNER)
    invite(house)
    is_signed = {ACCOUNT_CHANGE, THREAD_ENTRY}
    return lambda call: house.open_industry(PARTNER if call.kind in is_signed else None)


@EVERY_CALL
def test_box_waits_for_the_desk_and_the_same_again_is_kept_once(
    call: Call, house: House, doors: Callable[[Call], Door]
):
    door, post = doors(call), call.make(house.agency)

    answers = [door.post(call.path, post) for _ in range(3)]

    assert [(answer.status_code, answer.data) for answer in answers] == [(202, WAITING)] * 3
    (item,) = house.items(call.kind)
    assert (item.address, item.acknowledged_at, item.envelope) == (call.address, None, parse_base64url(post.envelope))
    assert call.kind is ENROLMENT or item.item_id in call.known.values()


@EVERY_CALL
def test_other_box_under_the_same_id_is_refused_and_the_first_stays(
    call: Call, house: House, doors: Callable[[Call], Door]
):
    door = doors(call)
    door.post(call.path, call.make(house.agency))
    before = house.items(call.kind)

    check_problem(door.post(call.path, call.make(house.agency)), call.conflict)

    assert house.items(call.kind) == before


@EVERY_CALL
@pytest.mark.parametrize("case", range(9))
def test_bad_body_is_refused_and_nothing_is_kept(case: int, call: Call, house: House, doors: Callable[[Call], Door]):
    body, problem = call.list_bad_bodies(house)[case]

    check_problem(doors(call).post(call.path, body), problem)

    assert house.items(call.kind) == []


@EVERY_CALL
def test_calls_are_limited_and_reports_are_not(call: Call, house: House, doors: Callable[[Call], Door]):
    door, post = doors(call), call.make(house.agency)

    statuses = [door.post(call.path, post).status_code for _ in range(call.limit + 1)]

    assert statuses == [202] * call.limit + [429]
    check_problem(door.post(call.path, post), problems.RATE_LIMITED)
    report = seal_report(PARTNER, key=house.agency.sealing_key)
    signing = Door(door.app, door.origin, door.clock, PARTNER.submission_key)
    assert signing.post("/v1/reports", report.body).status_code == 201


@pytest.mark.parametrize("call", [CALLS["enrol"], CALLS["adoption"]], ids=["enrol", "adoption"])
def test_nothing_is_taken_before_the_agency_has_published_a_key(call: Call, tmp_path: Path):
    house = make_house(tmp_path / "new")
    invite(house)

    check_problem(house.open_industry().post(call.path, call.make(house.agency)), problems.NOT_READY)

    assert house.items(call.kind) == []


def test_desk_fetches_an_entry_once_and_only_its_digest_stays(house: House, doors: Callable[[Call], Door]):
    door, post, feed = doors(CALLS["entries"]), make_entry(house.agency), house.open_feed()
    door.post(ENTRIES, post)
    list_waiting = partial(feed.get, "/feed/items/thread-entry")

    (row,) = list_waiting().json["items"]
    held = {"items": [{"address": row["address"], "item_id": row["item_id"]}], "kind": "thread-entry"}
    answer = feed.post("/feed/acknowledgements", held)

    assert (row["address"], row["item_id"], row["envelope"]) == (PARTNER.partner, ENTRY_ID, post.envelope)
    assert answer.json == {"acknowledged": 1}
    assert list_waiting().json["items"] == []
    (item,) = house.items(THREAD_ENTRY)
    assert item.envelope is None
    assert door.post(ENTRIES, post).status_code == 202
    assert list_waiting().json["items"] == []


def test_unknown_and_expired_invitations_are_refused_alike(house: House):
    anyone, post = house.open_industry(), make_enrolment(house.agency)
    unknown = check_problem(anyone.post("/v1/enrol", post), problems.UNKNOWN_INVITATION)
    invite(house, expires_in=timedelta(0))

    expired = check_problem(anyone.post("/v1/enrol", post), problems.UNKNOWN_INVITATION)

    assert {**unknown, "instance": ""} == {**expired, "instance": ""}
    assert house.items(ENROLMENT) == []


def test_guessing_secrets_does_not_wait_for_the_writers(house: House):
    """An unsigned caller must not be able to stand in the queue of reports: the invitation is read first."""
    gateway = house.open_gateway()
    anyone = house.open_industry(gateway=gateway)
    with gateway.store.write():
        check_problem(anyone.post("/v1/enrol", make_enrolment(house.agency)), problems.UNKNOWN_INVITATION)


def test_full_queue_of_requests_is_a_503_with_another_way_and_keeps_no_report_out(house: House):
    gateway = house.open_gateway()
    fill_up(gateway, MAX_WAITING - 1)
    door = Door(house.open_industry(gateway=gateway).app, PUBLIC_ORIGIN, house.clock, PARTNER.submission_key)
    last, late = (adoption_builders.make_post(house.agency, number) for number in (1, 2))
    assert door.post("/v1/adoption", last).status_code == 202

    answer = door.post("/v1/adoption", late)

    check_problem(answer, problems.ADOPTION_FULL)
    assert answer.headers["Retry-After"] == "3600"
    # A 5xx tells no detail; the page of its type does, and so does the client.
    assert "/for-services" in problems.ADOPTION_FULL.advice
    assert len(house.items(ADOPTION_REQUEST)) == MAX_WAITING
    assert door.post("/v1/adoption", last).status_code == 202  # the stored one again
    report = seal_report(PARTNER, key=house.agency.sealing_key)
    assert door.post("/v1/reports", report.body).status_code == 201


def test_entry_is_taken_after_its_message_was_acknowledged(house: House, doors: Callable[[Call], Door]):
    door = doors(CALLS["entries"])
    assert door.post(f"/v1/mailbox/{MESSAGE_ID}/ack", {}).status_code == 200

    assert door.post(ENTRIES, make_entry(house.agency)).status_code == 202
