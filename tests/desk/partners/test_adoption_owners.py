"""A stranger asking for the button gets no id, no invitation and no link of a service that the desk knows already."""

import html
import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import select

from gateway.desk.cli import main
from gateway.desk.partners import adoption_decisions
from gateway.desk.partners.adoption_decisions import Place, agree_place, invite_adopter
from gateway.desk.partners.adoptions import AdoptionError, get_adoption
from gateway.desk.partners.invitations import invite_partner
from gateway.desk.placements.agreeing import suspend_placement
from gateway.desk.placements.register import list_placements
from gateway.desk.store.partner_tables import INVITATIONS
from gateway.desk.store.schema import AUDIT
from gateway.desk.wiring import Desk
from tests.builders import PUBLIC_ORIGIN
from tests.desk.adoption_builders import CALLED, MARKED, PLACE_WORDS, add_waiting, list_actions
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import Browser

PLACE = Place(surface="chat", address="https://chat.example/rooms/*", position="Above the first message")
ELSEWHERE = Place(surface="profile", address="https://evil.example/people/*", position="Under the name")
STRANGER = msgspec.structs.replace(MARKED, organisation="A Stranger", service_name="Strange Chat")
Action = Callable[[Desk, str], object]


def invite(desk: Desk, request_id: str) -> object:
    return invite_adopter(desk, request_id, owner=CALLED, actor=ACTOR)


def agree(desk: Desk, request_id: str) -> object:
    return agree_place(desk, request_id, owner=CALLED, place=ELSEWHERE, actor=ACTOR)


def know_by_place(desk: Desk) -> None:
    agree_place(desk, add_waiting(desk, 1), owner=CALLED, place=PLACE, actor=ACTOR)


def know_by_request(desk: Desk) -> None:
    invite_adopter(desk, add_waiting(desk, 1), owner=CALLED, actor=ACTOR)


def know_by_invitation(desk: Desk) -> None:
    invite_partner(desk, partner=CALLED, name="Example Show", origin=PUBLIC_ORIGIN, actor=ACTOR)


def count_invitations(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(connection.execute(select(INVITATIONS).where(INVITATIONS.c.partner == CALLED)).all())


@pytest.mark.parametrize("action", [invite, agree])
@pytest.mark.parametrize("know", [know_by_place, know_by_request, know_by_invitation])
def test_id_of_a_known_owner_is_refused_to_a_stranger(loop: Loop, know: Callable[[Desk], None], action: Action) -> None:
    know(loop.desk)
    before = count_invitations(loop.desk)
    request_id = add_waiting(loop.desk, 2, service=STRANGER)

    with pytest.raises(AdoptionError) as caught:
        action(loop.desk, request_id)

    assert caught.value.reason == "known-owner"
    assert count_invitations(loop.desk) == before
    with loop.desk.store.read() as connection:
        line = get_adoption(connection, request_id)
        assert all(row.address == PLACE.address for row in list_placements(connection, owner=CALLED))
    assert (line.state, line.owner) == ("waiting", None)
    assert list_actions(loop.desk, request_id) == []


def test_registered_partner_is_refused_a_place_until_a_person_says_that_it_asked(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    with pytest.raises(AdoptionError):
        agree_place(loop.desk, request_id, owner="example-chat", place=PLACE, actor=ACTOR)
    row, _ = agree_place(loop.desk, request_id, owner="example-chat", place=PLACE, actor=ACTOR, is_known_owner=True)
    assert row.owner == "example-chat"
    with loop.desk.store.read() as connection:
        details = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.subject == request_id)).scalars().all()
    assert [json.loads(one) for one in details] == [{"is_known_owner": True, "owner": "example-chat"}]


def test_keys_of_a_registered_partner_are_not_replaced_even_if_confirmed(loop: Loop) -> None:
    with pytest.raises(AdoptionError) as caught:
        invite_adopter(loop.desk, add_waiting(loop.desk), owner="example-chat", actor=ACTOR, is_known_owner=True)
    assert caught.value.reason == "known-partner"


def test_mail_names_the_places_of_its_own_request_and_no_other_of_the_owner(loop: Loop) -> None:
    know_by_place(loop.desk)
    request_id = add_waiting(loop.desk, 2, service=STRANGER)

    first, mail = agree_place(loop.desk, request_id, owner=CALLED, place=ELSEWHERE, actor=ACTOR, is_known_owner=True)
    assert first.placement in mail.text
    assert PLACE.address not in mail.text
    assert f"?from={CALLED}-chat" not in mail.text

    suspend_placement(loop.desk, first.placement, reason="Gone.", actor=ACTOR)
    below = replace(PLACE, position="Below the last message")
    second, mail = agree_place(loop.desk, request_id, owner=CALLED, place=below, actor=ACTOR)
    assert second.placement in mail.text
    assert f"?from={first.placement}\n" not in mail.text


def test_invitation_is_not_made_when_its_request_cannot_be_decided(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: no secret is left for an id that no request holds."""

    def fail(*_args: object, **_named: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(adoption_decisions, "_decide", fail)
    with pytest.raises(OSError, match="full"):
        invite(loop.desk, add_waiting(loop.desk))
    assert count_invitations(loop.desk) == 0


def test_command_takes_a_known_id_only_with_its_word(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    know_by_place(loop.desk)
    request_id = add_waiting(loop.desk, 2, service=STRANGER)
    words = ["adoption", "agree", request_id, *PLACE_WORDS, "--state", str(loop.desk.paths.state)]

    assert main(words) == 2
    assert "--known-owner" in capsys.readouterr().err
    main([*words, "--known-owner", "--json"])  # the clock of the command is not the loop's: publishing may wait

    with loop.desk.store.read() as connection:
        assert get_adoption(connection, request_id).owner == CALLED


@pytest.mark.parametrize("action", ["agree", "invite"])
def test_page_takes_a_known_id_only_with_its_box(loop: Loop, action: str) -> None:
    know_by_place(loop.desk)
    request_id = add_waiting(loop.desk, 2, service=STRANGER)
    browser = Browser(loop.desk).sign_in()
    browser.get(f"/adoption/{request_id}")
    fields = {
        "owner": CALLED,
        "surface": "profile",
        "address": "https://evil.example/people/*",
        "position": "Under the name",
    }

    refused = browser.post(f"/adoption/{request_id}/{action}", **fields)
    page = html.unescape(refused.get_data(as_text=True))
    assert (refused.status_code, f"{CALLED} is already known here" in page) == (409, True)
    assert page.count('name="known_owner"') == 2

    taken = browser.post(f"/adoption/{request_id}/{action}", **fields, known_owner="yes")
    assert taken.status_code == 200
