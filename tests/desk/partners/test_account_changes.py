"""Changes of partners' keys at the desk: checked, waiting for a person, accepted once, never by themselves."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.office.organisations import PartnerError, list_partners
from gateway.desk.partners.account_changes import FORMER_KEY_GRACE, accept_change, list_changes, refuse_change
from gateway.desk.running.doctor import examine
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS
from partner_sdk.client._keys import find_pending
from partner_sdk.client.account import send_registration
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, make_report_id
from partner_sdk.wire.enrolment import (
    SIGNED_CHANGE,
    TEMPLATE,
    AccountChange,
    NewKeys,
    seal_account_change,
)
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.builders import NOW, Partner
from tests.desk.account_builders import Service
from tests.desk.desk_loop import ACTOR, Loop

WAITS_AGAIN = "UPDATE items SET envelope = ?, acknowledged_at = NULL WHERE kind = 'account-change'"
SEALED_CHANGE = "SELECT envelope FROM items WHERE kind = 'account-change'"


@pytest.fixture
def loop(service: Service) -> Loop:
    return service.loop


def key_in_force(loop: Loop) -> str:
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.register is not None
    (entry,) = keys.register.partners
    return entry.key_id


def make_change(service: Service, new: Partner, **changes: object) -> AccountChange:
    change = AccountChange(
        change_id=make_report_id(NOW, bytes(10)),
        created_at=format_time(NOW),
        environment="live",
        keys=NewKeys(
            context_key=new.key(KeyRole.CONTEXT).public_key,
            mailbox_key=new.key(KeyRole.MAILBOX).public_key,
            old_key_id=service.open().state.read_key(KeyRole.SUBMISSION).key_id,
            submission_key=new.key(KeyRole.SUBMISSION).public_key,
        ),
        partner="example-chat",
        registration=None,
    )
    return msgspec.structs.replace(change, **changes)


def post(service: Service, signed: bytes, change: AccountChange) -> None:
    sealed = seal_account_change(signed, change=change, agency_key=service.loop.sealing_key())
    service.open().transport.send("POST", "/v1/account", body=encode(sealed))


def test_change_of_keys_waits_until_a_person_accepts_it(loop: Loop, service: Service) -> None:
    old = key_in_force(loop)
    rotation = service.rotate()
    (change,) = service.take_changes().waiting
    assert (change.kind, change.old_key_id, change.new_key_id) == ("keys", old, rotation.new_key_ids["submission"])
    loop.publish()
    assert key_in_force(loop) == old
    with loop.desk.store.read() as connection:
        assert [row.changes for row in list_partners(connection)] == [1]
    service.accept(change.change_id)
    assert key_in_force(loop) == rotation.new_key_ids["submission"]
    with loop.desk.store.read() as connection:
        (former,) = connection.execute(FORMER_PARTNER_KEYS.select()).all()
        assert list_changes(connection) == []
        assert audit.check_chain(connection) > 0
    assert (former.key_id, former.ended_at) == (old, format_time(NOW + FORMER_KEY_GRACE))
    assert service.take_changes() == type(service.take_changes())((), {})


def test_change_that_was_decided_cannot_be_decided_again(loop: Loop, service: Service) -> None:
    rotation = service.rotate()
    service.take_changes()
    refuse_change(loop.desk, change_id=rotation.change_id or "", reason="not-confirmed", actor=ACTOR)
    with pytest.raises(PartnerError) as caught:
        accept_change(loop.desk, change_id=rotation.change_id or "", actor=ACTOR)
    assert caught.value.reason == "not-waiting"
    with pytest.raises(PartnerError) as unknown:
        accept_change(loop.desk, change_id="nothing", actor=ACTOR)
    assert unknown.value.reason == "unknown-change"


def test_refused_change_is_asked_again_for_the_same_keys_and_accepted(loop: Loop, service: Service) -> None:
    first = service.rotate()
    service.take_changes()
    refuse_change(loop.desk, change_id=first.change_id or "", reason="more-needed", actor=ACTOR)
    again = service.rotate(ask_again=True)
    assert [change.change_id for change in service.take_changes().waiting] == [again.change_id]
    service.accept(again.change_id)
    assert key_in_force(loop) == first.new_key_ids["submission"]
    assert service.rotate().new_key_ids != first.new_key_ids  # it went over, and this is the next one


def test_two_questions_for_one_step_are_answered_once(loop: Loop, service: Service) -> None:
    first = service.rotate()
    again = service.rotate(ask_again=True)
    assert len(service.take_changes().waiting) == 2
    service.accept(again.change_id)
    with loop.desk.store.read() as connection:
        states = {row.change_id: (row.state, row.reason) for row in list_changes(connection, with_decided=True)}
    assert states == {first.change_id: ("refused", "superseded"), again.change_id: ("accepted", None)}


def test_change_without_the_signatures_of_all_new_keys_is_refused(loop: Loop, service: Service) -> None:
    new = Partner("renewed")
    old_key = service.open().state.load_submission_key()
    change = make_change(service, new)
    signed = sign_statement(change, kind=StatementKind.ACCOUNT_CHANGE, private_keys=(old_key, new.submission_key))
    post(service, signed, change)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other = make_change(service, new, change_id=make_report_id(NOW, bytes([1] * 10)))
    signed = sign_statement(
        other, kind=StatementKind.ACCOUNT_CHANGE, private_keys=(old_key, new.submission_key, stranger)
    )
    post(service, signed, other)
    assert service.take_changes().refused == {("example-chat", "bad-signature"): 2}


def sign(service: Service, change: AccountChange, new: Partner, *, old_key: Ed25519PrivateKey | None = None) -> bytes:
    return SIGNED_CHANGE.sign(
        change,
        old_key or service.open().state.load_submission_key(),
        new.submission_key,
        load_signing_key(new.key(KeyRole.CONTEXT)),
    )


def test_change_that_another_key_than_the_one_in_force_signed_is_refused(loop: Loop, service: Service) -> None:
    new, thief = Partner("renewed"), Partner("thief")
    change = make_change(service, new)
    post(service, sign(service, change, new, old_key=thief.submission_key), change)
    assert service.take_changes().refused == {("example-chat", "unknown-key"): 1}


def test_key_that_was_rotated_out_asks_for_no_other(loop: Loop, service: Service) -> None:
    old_key = service.open().state.load_submission_key()
    late = make_change(service, Partner("thief"))
    service.change_keys()
    service.open().status()
    post(service, sign(service, late, Partner("thief"), old_key=old_key), late)
    assert service.take_changes().refused == {("example-chat", "unknown-key"): 1}


def test_key_of_another_partner_is_refused(loop: Loop, service: Service) -> None:
    loop.enrol(partner=Partner("other-chat"))
    change = make_change(service, Partner("other-chat"))
    post(service, sign(service, change, Partner("other-chat")), change)
    assert service.take_changes().refused == {("example-chat", "key-in-use"): 1}


def test_change_in_another_partners_name_or_under_another_id_is_refused(loop: Loop, service: Service) -> None:
    new = Partner("renewed")
    named = make_change(service, new, partner="other-chat")
    sealed_for = make_change(service, new)
    post(service, sign(service, named, new), sealed_for)
    inside = make_change(service, new, change_id=make_report_id(NOW, bytes([1] * 10)))
    outside = make_change(service, new, change_id=make_report_id(NOW, bytes([2] * 10)))
    post(service, sign(service, inside, new), outside)
    assert service.take_changes().refused == {
        ("example-chat", "wrong-partner"): 1,
        ("example-chat", "wrong-change"): 1,
    }


def test_change_that_the_gateway_gives_to_another_partner_is_refused(loop: Loop, service: Service) -> None:
    loop.enrol(partner=Partner("other-chat"))
    service.rotate()
    loop.gateway_sql("UPDATE items SET address = 'other-chat'")
    assert service.take_changes().refused == {("other-chat", "does-not-open"): 1}


def test_gateway_that_names_no_partner_or_no_id_stores_nothing_here(loop: Loop, service: Service) -> None:
    service.rotate()
    loop.gateway_sql("UPDATE items SET address = 'No Partner'")
    assert service.take_changes().waiting == ()
    assert loop.count("account_changes") == 0


def test_accepted_change_is_checked_against_the_key_in_force_at_that_moment(
    loop: Loop, service: Service, tmp_path: Path
) -> None:
    rotation = service.rotate()
    service.take_changes()
    Service(loop, tmp_path / "renewed").enrol()
    with pytest.raises(PartnerError) as caught:
        accept_change(loop.desk, change_id=rotation.change_id or "", actor=ACTOR)
    assert caught.value.reason == "change-outdated"


def test_registration_that_a_rotated_out_key_signed_is_sent_again_with_the_key_in_force(
    loop: Loop, service: Service
) -> None:
    sent = send_registration(service.open(), TEMPLATE, now=NOW)
    rotation = service.rotate()
    taken = {change.kind: change for change in service.take_changes().waiting}
    assert {change.signed_by for change in taken.values()} == {rotation.key_ids["submission"]}
    service.accept(rotation.change_id)
    with pytest.raises(PartnerError) as caught:
        service.accept(sent.change_id)
    assert caught.value.reason == "change-outdated"
    service.open().status()  # which goes over to the new keys
    again = send_registration(service.open(), TEMPLATE, now=NOW)
    (change,) = service.take_changes().waiting
    assert (change.change_id, change.signed_by) == (again.change_id, rotation.new_key_ids["submission"])
    service.accept(again.change_id)


def test_registration_that_a_rotated_out_key_signs_later_is_refused(loop: Loop, service: Service) -> None:
    old_key = service.open().state.load_submission_key()
    service.change_keys()
    service.open().status()
    late = make_change(service, Partner("thief"), keys=None, registration=TEMPLATE)
    post(service, SIGNED_CHANGE.sign(late, old_key), late)
    assert service.take_changes().refused == {("example-chat", "unknown-key"): 1}


def test_change_replaces_forged_bytes_under_its_id(loop: Loop, service: Service) -> None:
    rotation = service.rotate()
    assert rotation.change_id is not None
    with loop.gateway.store.read() as connection:
        true_envelope = connection.exec_driver_sql(SEALED_CHANGE).scalar_one()
    loop.gateway_sql("UPDATE items SET envelope = ? WHERE kind = 'account-change'", b"\x01" + bytes(40))
    assert service.take_changes().waiting == ()
    loop.gateway_sql(WAITS_AGAIN, true_envelope)
    assert [change.change_id for change in service.take_changes().waiting] == [rotation.change_id]
    # What waits, or was decided, is replaced by nothing.
    loop.gateway_sql(WAITS_AGAIN, true_envelope)
    assert service.take_changes() == type(service.take_changes())((), {})
    refuse_change(loop.desk, change_id=rotation.change_id, reason="not-confirmed", actor=ACTOR)
    loop.gateway_sql(WAITS_AGAIN, true_envelope)
    assert service.take_changes().waiting == ()
    assert loop.count("account_changes") == 1


def test_doctor_tells_of_changes_that_wait_and_of_old_keys(loop: Loop, service: Service) -> None:
    service.rotate()
    service.take_changes()
    loop.clock.advance(days=366)
    told = [one.detail for one in examine(loop.desk.paths.state, clock=loop.clock) if one.name == "partners"]
    assert any("1 account changes" in one for one in told)
    assert any("keys of example-chat are more than a year old" in one for one in told)
    assert any("registration of example-chat is incomplete. It lacks: registration" in one for one in told)
    assert find_pending(service.open().state) is not None
