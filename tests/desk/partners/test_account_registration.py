"""Registrations and types of partners at the desk: read by a person, in force once accepted, no bar to a report."""

import html
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from gateway.desk.cases.model import get_case
from gateway.desk.office.organisations import (
    PARTNER_TYPES,
    PartnerError,
    PartnerKind,
    PartnerType,
    find_partner_kind,
    list_partners,
)
from gateway.desk.partners.account_changes import (
    accept_change,
    find_authorisation,
    find_registration,
    get_partner_view,
    list_changes,
    refuse_change,
)
from gateway.desk.partners.enrolments import approve_partner, invite_partner
from gateway.desk.store import audit
from partner_sdk.client.account import enrol, find_sent_registration, send_registration
from partner_sdk.errors import LocalStateError, TransportError
from partner_sdk.wire.enrolment import TEMPLATE, Registration
from tests.builders import NOW, PUBLIC_ORIGIN
from tests.desk.account_builders import REPORT, Service
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import open_page
from tests.desk.loop_model import copy_loop
from tests.sdk.sdk_builders import run_partner as run_partner_command

BARE = msgspec.structs.replace(TEMPLATE, administrator=None, replacement=None)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path, is_enrolled=False)


@pytest.fixture
def service(loop: Loop, tmp_path: Path) -> Service:
    return Service(loop, tmp_path / "partner")


def accepted(loop: Loop) -> Registration | None:
    with loop.desk.store.read() as connection:
        found = find_registration(connection, "example-chat")
    return None if found is None else found.registration


def test_registration_comes_with_the_enrolment_and_is_in_force_once_accepted(loop: Loop, service: Service) -> None:
    service.enrol(approve=False, registration=TEMPLATE)
    with loop.desk.store.read() as connection:
        (change,) = list_changes(connection)
        assert get_partner_view(connection, "example-chat").wanted == TEMPLATE
        assert [(row.state, row.changes) for row in list_partners(connection)] == [("waiting", 1)]
    with pytest.raises(PartnerError) as caught:
        accept_change(loop.desk, change_id=change.change_id, actor=ACTOR)
    assert caught.value.reason == "unknown-partner"
    approve_partner(loop.desk, partner="example-chat", actor=ACTOR)
    assert accepted(loop) is None
    accept_change(loop.desk, change_id=change.change_id, actor=ACTOR)
    assert accepted(loop) == TEMPLATE
    with loop.desk.store.read() as connection:
        assert audit.check_chain(connection) > 0


def test_gateway_keeps_no_word_of_a_registration(loop: Loop, service: Service) -> None:
    service.enrol(registration=TEMPLATE)
    send_registration(service.open(), BARE, now=NOW)
    files = [path for path in (loop.folder / "gateway").rglob("*") if path.is_file()]
    assert files
    assert not any(b"moderator@chat.example" in path.read_bytes() for path in files)


def test_box_that_is_sealed_already_takes_no_other_registration(loop: Loop, service: Service) -> None:
    desk = loop.desk
    invitation = invite_partner(desk, partner="example-chat", name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
    for_folder = {"folder": service.folder, "session": service.session, "clock": loop.clock}
    with pytest.raises(Exception, match="422"):
        enrol(invitation, registration=TEMPLATE, **for_folder)
    assert not service.folder.exists()  # the gateway had not heard of the invitation
    service.enrol()
    with pytest.raises(LocalStateError):
        enrol(invitation, registration=BARE, **for_folder)


def test_newer_registration_replaces_the_one_in_force_when_accepted(loop: Loop, service: Service) -> None:
    service.enrol()
    first = send_registration(service.open(), BARE, now=NOW)
    second = send_registration(service.open(), TEMPLATE, now=NOW)
    assert len(service.take_changes().waiting) == 2
    accept_change(loop.desk, change_id=second.change_id, actor=ACTOR)
    assert accepted(loop) == TEMPLATE
    with loop.desk.store.read() as connection:
        states = {row.change_id: row.state for row in list_changes(connection, with_decided=True)}
    assert states == {first.change_id: "refused", second.change_id: "accepted"}
    third = send_registration(service.open(), BARE, now=NOW)
    service.take_changes()
    refuse_change(loop.desk, change_id=third.change_id, reason="more-needed", actor=ACTOR)
    assert accepted(loop) == TEMPLATE


def test_registration_that_did_not_arrive_is_sent_again_as_the_same_bytes(
    loop: Loop, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.enrol()
    partner = service.open()
    sending = service.adapter.send

    def lose(request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        response = sending(request, **settings)
        if request.path_url == "/v1/account":
            raise TimeoutError  # the gateway has it, and its reply is lost
        return response

    with monkeypatch.context() as patch:
        patch.setattr(service.adapter, "send", lose)
        with pytest.raises(TransportError):
            send_registration(partner, TEMPLATE, now=NOW)
    kept = find_sent_registration(partner.state)
    assert kept is not None
    assert kept.sent_at is None
    sent = send_registration(partner, TEMPLATE, now=NOW)
    assert (sent.post, sent.sent_at is not None) == (kept.post, True)
    assert [change.change_id for change in service.take_changes().waiting] == [kept.change_id]


@pytest.mark.parametrize(
    ("email", "name", "expected"),
    [
        ("moderator@chat.example", None, True),
        (" Moderator@Chat.Example ", "somebody", True),
        ("admin@chat.example", None, True),
        ("deputy@chat.example", None, True),
        ("safety@chat.example", "M. Moderator", False),
        (None, "m.  moderator", True),
        ("", "M. Moderator", True),
        (None, "Somebody", False),
        (None, None, False),
    ],
)
def test_submitter_is_looked_up_by_address_or_else_by_name(
    loop: Loop, service: Service, email: str | None, name: str | None, *, expected: bool
) -> None:
    service.enrol(registration=TEMPLATE)
    with loop.desk.store.read() as connection:
        (change,) = list_changes(connection)
        assert find_authorisation(connection, "example-chat", email=email, name=name) is None
    accept_change(loop.desk, change_id=change.change_id, actor=ACTOR)
    with loop.desk.store.read() as connection:
        assert find_authorisation(connection, "example-chat", email=email, name=name) is expected
        assert find_authorisation(connection, "other-chat", email=email, name=name) is None


@pytest.mark.parametrize(
    ("email", "is_registered", "notes"),
    [("safety@example.com", True, 1), ("safety@example.com", False, 0), ("moderator@chat.example", True, 0)],
)
def test_report_by_an_unregistered_submitter_is_filed_with_a_notice(
    loop: Loop, service: Service, email: str, *, is_registered: bool, notes: int
) -> None:
    service.enrol(registration=TEMPLATE)
    with loop.desk.store.read() as connection:
        (change,) = list_changes(connection)
    if is_registered:
        accept_change(loop.desk, change_id=change.change_id, actor=ACTOR)
    sent = service.open().submit(REPORT.replace(b"safety@example.com", email.encode()), priority="P2")
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        case = get_case(connection, sent.reference)
    note = "submitted by a person who is not on the partner's list of authorised persons."
    assert html.unescape(open_page(loop, case)).count(note) == notes


def run_partner(service: Service, *words: str) -> int:
    return run_partner_command(*words, folder=service.folder, adapter=service.adapter, clock=service.loop.clock)


def test_partner_fills_in_the_template_sends_it_and_sees_what_it_sent(
    loop: Loop, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.enrol()
    assert run_partner(service, "account", "template") == 0
    filled = tmp_path / "account.file"
    template = json.loads(capsys.readouterr().out)
    filled.write_text(json.dumps(template))
    assert run_partner(service, "account", "update", str(filled)) == 1
    assert "(unchanged-example)" in capsys.readouterr().err
    assert service.take_changes().waiting == ()
    template["administrator"]["name"] = "Robin Example"
    filled.write_text(json.dumps(template))
    assert run_partner(service, "account", "update", str(filled)) == 0
    sent = json.loads(capsys.readouterr().out)
    assert (sent["status"], sent["missing"]) == ("waiting", [])
    assert [change.kind for change in service.take_changes().waiting] == ["registration"]
    assert run_partner(service, "account", "show") == 0
    assert "Example Chat Ltd" in capsys.readouterr().out
    filled.write_text('{"sector": "toys"}')
    assert run_partner(service, "account", "update", str(filled)) == 1
    assert "#/" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [kind for kind in PARTNER_TYPES if kind != "service"])
def test_agency_is_invited_with_its_type_and_country_and_refers_by_the_same_door(
    loop: Loop, service: Service, kind: PartnerType
) -> None:
    invitation = invite_partner(
        loop.desk, partner="example-chat", name="Force", origin=PUBLIC_ORIGIN, actor=ACTOR, type=kind, country="GB"
    )
    with loop.desk.store.read() as connection:
        assert [(row.state, row.type, row.country) for row in list_partners(connection)] == [("invited", kind, "GB")]
    service.answer(invitation)
    with loop.desk.store.read() as connection:
        assert find_partner_kind(connection, "example-chat") == PartnerKind(kind, "GB")
    assert service.open().submit(REPORT, priority="P1").report_id
    assert loop.collect().filed == 1


def test_type_is_kept_when_an_agency_enrols_again(loop: Loop, tmp_path: Path) -> None:
    def enrol_as(folder: str, **kind: str) -> None:
        service = Service(loop, tmp_path / folder)
        invitation = invite_partner(
            loop.desk, partner="example-chat", name="Example Force", origin=PUBLIC_ORIGIN, actor=ACTOR, **kind
        )
        service.answer(invitation)

    enrol_as("first", type="police", country="IE")
    enrol_as("second")
    with loop.desk.store.read() as connection:
        kind = find_partner_kind(connection, "example-chat")
    assert kind == PartnerKind("police", "IE")


@pytest.mark.parametrize(
    "kind", [{"type": "choir"}, {"type": "police"}, {"country": "GB"}, {"type": "vgt", "country": "gb"}]
)
def test_type_and_country_go_together(loop: Loop, kind: dict[str, str]) -> None:
    with pytest.raises(PartnerError) as caught:
        invite_partner(loop.desk, partner="example-chat", name="X", origin=PUBLIC_ORIGIN, actor=ACTOR, **kind)
    assert caught.value.reason in {"bad-type", "bad-country"}
