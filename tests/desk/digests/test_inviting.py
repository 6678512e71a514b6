"""A service with many reports and without the button is invited once a year, by a letter that states no number."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.desk.cases.actions.ledger import get_signing, open_body, record_sent
from gateway.desk.cases.actions.model import Action, ActionError
from gateway.desk.digests.invitations import (
    Candidate,
    draft_invitation,
    list_candidates,
    list_invitations,
    parse_invitation,
    print_invitation,
)
from gateway.desk.digests.ledger import get_record, make_digest_id
from gateway.desk.digests.making import DigestOrder, make_all
from gateway.desk.digests.pages import reject
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import add_merge
from gateway.desk.store.agency_tables import ADOPTERS
from tests.desk.action_builders import reread
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER, QUARTER, add_cases, seed_noise
from tests.desk.notice_builders import CONTACT, add_service, make_reachable
from tests.desk.placement_builders import agree
from tests.desk.view_builders import Browser, Clock

MANY, FEW = "many-reports", "few-reports"


@pytest.fixture
def reachable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = make_reachable(desk)
    seed_noise(monkeypatch)
    add_cases(desk.store, 200, about=MANY)
    add_cases(desk.store, 3, about=FEW)
    add_cases(desk.store, 200, about=PARTNER)
    make_digests(desk)
    return desk


def make_digests(desk: Desk, **changes: Any) -> None:
    order = DigestOrder(quarter=QUARTER, environment="live", made_by=ACTOR, **changes)
    make_all(desk.store, order, clock=desk.clock)


def candidates(desk: Desk) -> list[Candidate]:
    with desk.store.read() as connection:
        return list_candidates(desk, connection)


def invite(desk: Desk, **changes: str) -> Action:
    fields = {"channel": "letter", "to": "Many Reports Ltd\n1 Example Street", **changes}
    return draft_invitation(desk, MANY, channel=fields["channel"], to=fields["to"], actor=ACTOR)


def sign(desk: Desk, action: Action) -> Action:
    with desk.store.read() as connection:
        signature = get_signing(connection, action).release
    assert signature is not None
    second, path = Browser(desk).sign_in("b-second"), f"/actions/{action.action_id}"
    assert "The words</h2>" in second.post(f"{path}/read").text
    assert second.step_up(f"/releases/{signature.id}/begin", f"{path}/release").status_code == 303
    return reread(desk, action)


def send(desk: Desk) -> Action:
    action = sign(desk, invite(desk))
    with desk.store.write() as connection:
        return record_sent(desk, connection, action.action_id, actor=ACTOR)


def test_service_with_many_reports_and_without_keys_is_to_be_invited(reachable: Desk) -> None:
    (one,) = candidates(reachable)
    assert (one.service, one.digest.period) == (MANY, QUARTER.name)
    assert one.kinds == ("Grooming",)


def test_largest_kinds_are_named_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_noise(monkeypatch)
    counts = {"sexual_talk": 80, "grooming": 200, "meet_offline": 40, "coercion_blackmail": 120}
    for kind, count in counts.items():
        add_cases(desk.store, count, about=MANY, kind=kind)
    make_digests(desk)
    (one,) = candidates(desk)
    assert one.kinds == ("Grooming", "Coercion or blackmail", "Sexual talk")


def test_service_is_to_be_invited_by_the_threshold_of_the_settings(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_noise(monkeypatch)
    add_cases(desk.store, 200, about=MANY)
    make_digests(desk, threshold=1_000)
    assert candidates(desk) == []


@pytest.mark.parametrize("step", ["keys", "adopter", "merged", "rejected"])
def test_service_that_came_closer_is_no_longer_to_be_invited(reachable: Desk, step: str) -> None:
    if step == "keys":
        add_service(reachable, MANY)
    elif step == "adopter":
        values = {"owner": MANY, "name": "Many", "added_at": "2026-11-01T00:00:00Z", "added_by": ACTOR}
        with reachable.store.write() as connection:
            connection.execute(insert(ADOPTERS).values(values))
        agree(reachable, owner=MANY)
    elif step == "merged":
        with reachable.store.write() as connection:
            add_merge(connection, MANY, into=PARTNER, by=ACTOR, now=reachable.clock())
    else:
        digest_id = make_digest_id(partner=MANY, quarter=QUARTER)
        reject(reachable, digest_id, by=ACTOR, reason="Odd figures.")
    assert candidates(reachable) == []
    with pytest.raises(ActionError) as caught:
        invite(reachable)
    assert caught.value.reason == "not-eligible"


def test_letter_states_kinds_and_no_number_of_reports(reachable: Desk) -> None:
    letter = parse_invitation(open_body(reachable, invite(reachable), actor=ACTOR))
    assert "From 1 July 2026 to 30 September 2026 we received a significant number of reports" in letter.text
    assert "Most of them were about: Grooming" in letter.text
    assert CONTACT in letter.text
    assert letter.subject == f"Reports about {MANY}"
    with reachable.store.read() as connection:
        record = get_record(connection, make_digest_id(partner=MANY, quarter=QUARTER))
    numbers = {str(abs(number)) for draw in record.draws.values() for number in draw} | {"200"}
    assert numbers & set(letter.text.replace(".", " ").replace(",", " ").split()) - {"1", "30"} == set()


def test_letter_is_the_same_bytes_each_time(reachable: Desk) -> None:
    letter = parse_invitation(open_body(reachable, invite(reachable), actor=ACTOR))
    pdf = print_invitation(letter, agency="The agency")
    assert pdf.startswith(b"%PDF-")
    assert pdf == print_invitation(letter, agency="The agency")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": " "}, "bad-address"),
        ({"to": "a" * 401}, "bad-address"),
        ({"to": "a\u0000b"}, "bad-address"),
        ({"channel": "phone"}, "bad-code"),
    ],
    ids=str,
)
def test_wrong_invitation_is_refused(reachable: Desk, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(ActionError) as caught:
        invite(reachable, **changes)
    assert caught.value.reason == reason


def test_desk_without_an_address_invites_no_service(desk: Desk) -> None:
    with pytest.raises(ActionError) as caught:
        draft_invitation(desk, MANY, channel="letter", to="1 Example Street", actor=ACTOR)
    assert caught.value.reason == "no-contact"


def test_letter_leaves_with_the_signature_of_a_second_person_alone(reachable: Desk) -> None:
    action = invite(reachable)
    page, path = Browser(reachable).sign_in(ACTOR), f"/actions/{action.action_id}"
    assert page.post(f"{path}/letter").status_code == 404
    assert page.post(f"{path}/sent").status_code == 409
    assert sign(reachable, action).state == "released"
    letter = page.post(f"{path}/letter")
    assert (letter.content_type, letter.data[:5]) == ("application/pdf", b"%PDF-")


def test_service_is_asked_once_a_year_whatever_it_answers(reachable: Desk, clock: Clock) -> None:
    action = send(reachable)
    with pytest.raises(ActionError) as caught:
        invite(reachable)
    assert caught.value.reason == "asked-already"
    page, path = Browser(reachable).sign_in(ACTOR), f"/actions/{action.action_id}"
    said = {"in_kind": "decline", "in_by": "A Manager", "in_text": "Not now."}
    assert page.post(f"{path}/record", **said).status_code == 303
    assert page.post(f"{path}/end").status_code == 303
    assert reread(reachable, action).state == "ended"
    clock.now += timedelta(days=364)
    with reachable.store.read() as connection:
        assert [one.action_id for one in list_invitations(connection)] == [action.action_id]
    assert not any(one.may_be_asked(clock()) for one in candidates(reachable))


def test_service_may_be_asked_again_after_a_year(reachable: Desk, clock: Clock) -> None:
    asked = send(reachable)
    (one,) = candidates(reachable)
    assert one.asked is not None
    assert one.asked.action_id == asked.action_id
    assert not one.may_be_asked(clock() + timedelta(days=364))
    assert one.may_be_asked(clock() + timedelta(days=365))


def test_invitation_withdrawn_on_its_own_page_does_not_count_as_asked(reachable: Desk) -> None:
    action = invite(reachable)
    browser, path = Browser(reachable).sign_in(ACTOR), f"/actions/{action.action_id}"
    refused = browser.post(f"{path}/withdraw", withdraw_reason="")
    assert (refused.status_code, "Give a reason." in refused.text) == (409, True)
    done = browser.post(f"{path}/withdraw", withdraw_reason="Another address.")
    assert (done.status_code, done.location, reread(reachable, action).state) == (303, path, "withdrawn")
    assert invite(reachable).state == "drafted"


def test_pages_lead_from_the_list_to_the_answer(reachable: Desk) -> None:
    browser = Browser(reachable).sign_in(ACTOR)
    page = browser.get("/invitations").text.replace(browser.token, "")
    assert "200" not in page
    faulty = browser.post("/invitations", service=MANY, channel="letter", to="")
    assert (faulty.status_code, f'href="#to-{MANY}"' in faulty.text) == (409, True)
    made = browser.post("/invitations", service=MANY, channel="mail", to="safety@many.example")
    assert made.status_code == 303
    action_id = made.location.rpartition("/")[2]
    assert "You prepared this." in browser.post(f"{made.location}/read").text
    with reachable.store.read() as connection:
        (action,) = list_invitations(connection)
    sign(reachable, action)
    assert "copy its words into a mail" in browser.get(made.location).text
    assert browser.post(f"/actions/{action_id}/sent").status_code == 303
    assert "Record its answer below" in browser.get(made.location).text
    assert browser.post(f"/actions/{action_id}/withdraw", withdraw_reason="No.").status_code == 409
    assert "No service is to be invited now." in browser.get("/invitations").text
