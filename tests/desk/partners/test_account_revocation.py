"""A key that was lost or stolen ends at once: at the gateway, at the desk, and for everything it had asked for."""

from pathlib import Path
from typing import Any

import pytest

from gateway.desk.cases.model import list_cases
from gateway.desk.collection.collect import try_again
from gateway.desk.collection.row_checks import KEY_ENDED_GRACE
from gateway.desk.office.organisations import PartnerError, list_partners
from gateway.desk.partners.account_changes import find_registration, list_changes, revoke_key, suspend_partner
from partner_sdk.client.account import send_registration
from partner_sdk.errors import NotAuthorisedError, RefusedError
from partner_sdk.key_files import KeyRole
from partner_sdk.report import parse_report
from partner_sdk.wire.enrolment import TEMPLATE
from tests.builders import DAY, NOW
from tests.desk.account_builders import REPORT, Service
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.outbox_builders import forget_that_it_was_sent, send_out


@pytest.fixture
def loop(service: Service) -> Loop:
    return service.loop


def revoke(loop: Loop, **settings: Any) -> tuple[str, ...]:
    ended = revoke_key(loop.desk, partner="example-chat", actor=ACTOR, **settings)
    loop.publish()
    return ended


def states(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [row.state for row in list_partners(connection)]


def test_key_is_refused_from_the_next_request_on(loop: Loop, service: Service) -> None:
    partner = service.open()
    partner.submit(REPORT, priority="P2", again=True)
    revoke(loop)
    with pytest.raises(NotAuthorisedError):
        partner.submit(REPORT, priority="P2", again=True)
    assert states(loop) == ["revoked"]


def test_what_the_desk_first_sees_under_a_revoked_key_is_quarantined(loop: Loop, service: Service) -> None:
    partner = service.open()
    partner.submit(REPORT, priority="P2", again=True)
    loop.collect()
    partner.submit(REPORT, priority="P2", again=True)
    revoke(loop)
    collected = loop.collect()
    assert (collected.filed, collected.quarantined, collected.refused) == (0, 1, {"key-ended": 1})
    # It may have been the partner's own: a person asks, and files it by the partner's word.
    assert try_again(loop.desk, actor=ACTOR).filed == 0
    assert try_again(loop.desk, actor=ACTOR, by_word=1).filed == 1


def test_suspension_keeps_its_grace_and_revocation_takes_it_away(loop: Loop, service: Service) -> None:
    partner = service.open()
    partner.submit(REPORT, priority="P2", again=True)
    suspend_partner(loop.desk, partner="example-chat", actor=ACTOR)
    loop.clock.now = NOW + KEY_ENDED_GRACE / 2
    assert loop.collect().filed == 1
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")
    revoke(loop)
    assert loop.collect().known == 1  # what is filed stays
    suspend_partner(loop.desk, partner="example-chat", actor=ACTOR)
    assert states(loop) == ["revoked"]


def test_former_key_alone_is_revoked_where_the_partner_says_that_the_next_is_its_own(
    loop: Loop, service: Service
) -> None:
    spooled = service.open().seal_report(parse_report(REPORT, priority="P2"), priority="P2", again=True)
    rotation = service.change_keys()
    old = rotation.key_ids["submission"]
    assert revoke(loop, key_id=old, keep_successor=True) == (old,)
    assert states(loop) == ["active"]
    partner = service.open()
    body = partner.state.find_submission(spooled)
    assert body is not None
    partner.status()  # which goes over to the new keys
    with pytest.raises(RefusedError) as caught:
        partner.transport.send("POST", "/v1/reports", body=body[0])
    assert caught.value.reason == "statement-refused"
    # What lies in the partner's own folder is not lost: the key of now signs it.
    assert partner.submit(REPORT, priority="P2", again=True).report_id
    assert partner.deliver(spooled).report_id == spooled
    assert loop.collect().filed == 2


def test_key_that_was_stolen_ends_with_every_key_and_registration_that_it_brought(
    loop: Loop, service: Service, tmp_path: Path
) -> None:
    sent = send_registration(service.open(), TEMPLATE, now=NOW)
    service.take_changes()
    service.accept(sent.change_id)
    steps = []
    for _ in range(2):
        steps.append(service.rotate())
        service.take_changes()
        service.accept(steps[-1].change_id)
        service.open().status()
    stolen, between, last = steps[0].key_ids["submission"], steps[1].key_ids["submission"], steps[1].new_key_ids
    newer = send_registration(service.open(), TEMPLATE, now=NOW)
    service.take_changes()
    service.accept(newer.change_id)
    assert set(revoke(loop, key_id=stolen)) == {stolen, between, last["submission"]}
    assert states(loop) == ["revoked"]
    with loop.desk.store.read() as connection:
        assert find_registration(connection, "example-chat") is None
    with pytest.raises(NotAuthorisedError):
        service.open().submit(REPORT, priority="P2", again=True)
    renewed = Service(loop, tmp_path / "renewed")
    renewed.enrol()
    assert renewed.open().submit(REPORT, priority="P2", again=True).report_id
    # The key of now came by an invitation: what is said of the old ones once more leaves it alone.
    revoke(loop, key_id=stolen)
    assert states(loop) == ["active"]


def test_registration_that_the_key_before_a_stolen_one_signed_is_in_force_again(loop: Loop, service: Service) -> None:
    first = send_registration(service.open(), TEMPLATE, now=NOW)
    service.take_changes()
    service.accept(first.change_id)
    service.change_keys()
    service.open().status()
    loop.clock.advance(seconds=1)
    second = send_registration(service.open(), TEMPLATE, now=loop.clock())
    service.take_changes()
    service.accept(second.change_id)
    later = service.change_keys()
    revoke(loop, key_id=later.key_ids["submission"])
    with loop.desk.store.read() as connection:
        found = find_registration(connection, "example-chat")
    assert found is not None
    assert found.change_id == first.change_id


def test_only_a_former_key_has_a_successor_to_keep(loop: Loop, service: Service) -> None:
    with pytest.raises(PartnerError) as caught:
        revoke(loop, keep_successor=True)
    assert caught.value.reason == "no-successor"
    assert states(loop) == ["active"]


def test_all_keys_end_with_the_one_in_force(loop: Loop, service: Service) -> None:
    rotation = service.change_keys()
    ended = revoke(loop)
    assert set(ended) == {rotation.key_ids["submission"], rotation.new_key_ids["submission"]}
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.register is not None
    assert [(entry.state, entry.former_keys) for entry in keys.register.partners] == [("suspended", ())]


def test_key_of_another_partner_is_not_revoked(loop: Loop, service: Service) -> None:
    with pytest.raises(PartnerError) as caught:
        revoke(loop, key_id="AAAAAAAAAAA")
    assert caught.value.reason == "unknown-key"
    assert states(loop) == ["active"]


def test_what_a_stolen_key_has_asked_for_is_refused(loop: Loop, service: Service) -> None:
    service.rotate()
    service.take_changes()
    revoke(loop)
    with loop.desk.store.read() as connection:
        assert [row.reason for row in list_changes(connection, with_decided=True)] == ["key-revoked"]


def test_change_that_comes_in_after_the_revocation_is_refused(loop: Loop, service: Service) -> None:
    service.rotate()
    revoke(loop)
    assert service.take_changes().refused == {("example-chat", "partner-not-active"): 1}


def test_honest_partner_enrols_again_and_keeps_its_id_its_reports_and_its_messages(
    loop: Loop, service: Service, tmp_path: Path
) -> None:
    stolen = service.open()
    first = stolen.submit(REPORT, priority="P2", again=True)
    loop.collect()
    service.tell("one")
    assert service.read() == [b'{"text":"one"}']
    service.tell("two")
    spooled = stolen.seal_report(parse_report(REPORT, priority="P2"), priority="P2", again=True)
    revoke(loop)
    renewed = Service(loop, tmp_path / "renewed")
    renewed.enrol()
    send_out(loop.desk, "message")
    assert renewed.read() == [b'{"text":"one"}', b'{"text":"two"}']
    renewed.tell("three")
    assert renewed.read() == [b'{"text":"three"}']
    assert renewed.open().transport.send("GET", f"/v1/reports/{first.report_id}").status == 200
    with pytest.raises(NotAuthorisedError):
        stolen.deliver(spooled)
    # The thief's spool in the partner's own hands is refused too: that key is former to nobody.
    body = stolen.state.find_submission(spooled)
    assert body is not None
    with pytest.raises(RefusedError):
        renewed.open().transport.send("POST", "/v1/reports", body=body[0])
    renewed.open().submit(REPORT, priority="P2", again=True)
    loop.collect()
    with loop.desk.store.read() as connection:
        assert {case.partner for case in list_cases(connection)} == {"example-chat"}
        assert len(list_cases(connection)) == 2
    assert states(loop) == ["active"]


def test_message_is_sealed_again_while_it_was_never_posted_and_twice(
    loop: Loop, service: Service, tmp_path: Path
) -> None:
    service.tell("one")
    loop.gateway_sql("DELETE FROM items")
    forget_that_it_was_sent(loop.desk, "message")
    for name in ("second", "third"):
        Service(loop, tmp_path / name).enrol()
    last = Service(loop, tmp_path / "third")
    assert send_out(loop.desk, "message") == 1
    assert last.read() == [b'{"text":"one"}']


def test_signed_bytes_stay_the_same_when_a_message_is_sealed_again(
    loop: Loop, service: Service, tmp_path: Path
) -> None:
    service.tell("one")
    service.read()
    renewed = Service(loop, tmp_path / "renewed")
    renewed.enrol()
    send_out(loop.desk, "message")
    renewed.read()
    assert renewed.open().state.find_message(1) == service.open().state.find_message(1)
    assert (
        service.open().state.read_key(KeyRole.MAILBOX).key_id != renewed.open().state.read_key(KeyRole.MAILBOX).key_id
    )


def test_old_keys_grace_ends_when_its_partner_is_suspended(loop: Loop, service: Service) -> None:
    service.change_keys()
    suspend_partner(loop.desk, partner="example-chat", actor=ACTOR)
    loop.clock.now = NOW + KEY_ENDED_GRACE + DAY
    loop.publish()
    with loop.desk.store.read() as connection:
        ended = connection.exec_driver_sql("SELECT ended_at FROM former_partner_keys").scalar_one()
    assert ended < rotation_end(loop)


def rotation_end(loop: Loop) -> str:
    return loop.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
