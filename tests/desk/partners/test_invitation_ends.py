"""An invitation ends by its own command: agreements beside it stay, and it enrols no service any more."""

from pathlib import Path

import pytest

from gateway.desk.cli import main
from gateway.desk.partners.adoption_decisions import Place, agree_place, invite_adopter
from gateway.desk.partners.enrolments import collect_enrolments
from gateway.desk.partners.invitations import publish_invitations
from gateway.desk.placements.register import list_placements
from tests.builders import Partner
from tests.desk.adoption_builders import CALLED, add_waiting, list_actions
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop_of_now

PLACE = Place(surface="chat", address="https://chat.example/rooms/*", position="Above the first message")


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A desk and a gateway at the time of this machine."""
    return copy_loop_of_now(tmp_path)


def end(loop: Loop, partner: str) -> int:
    return main(("partner", "end-invitation", partner, "--state", str(loop.desk.paths.state)))


def test_invitation_ends_and_the_places_agreed_with_the_request_stay(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = add_waiting(loop.desk)
    invitation, _ = invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR)
    publish_invitations(loop.desk, loop.desk.make_feed())
    agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)

    assert end(loop, CALLED) == 0

    assert "1 place of its button stays" in capsys.readouterr().out
    loop.answer(invitation, partner=Partner(CALLED))
    taken = collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR)
    assert (taken.waiting, taken.refused) == ((), {(CALLED, "invitation-used"): 1})
    with loop.desk.store.read() as connection:
        assert [row.state for row in list_placements(connection, owner=CALLED)] == ["agreed"]
    assert (ACTOR, "end-invitation") in list_actions(loop.desk, CALLED)


def test_enrolment_that_waits_is_refused_with_its_invitation(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    invitation, _ = invite_adopter(loop.desk, add_waiting(loop.desk), owner=CALLED, actor=ACTOR)
    publish_invitations(loop.desk, loop.desk.make_feed())
    loop.answer(invitation, partner=Partner(CALLED))
    assert collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR).waiting == (CALLED,)

    assert end(loop, CALLED) == 0

    assert "The waiting enrolment is refused." in capsys.readouterr().out
    state = str(loop.desk.paths.state)
    assert main(("partner", "approve", CALLED, "--state", state)) == 2


def test_nothing_is_noted_when_no_invitation_is_open(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(loop, CALLED) == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert list_actions(loop.desk, CALLED) == []


def test_decline_of_an_agreed_request_names_the_command_that_ends_its_invitation(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = add_waiting(loop.desk)
    invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR)
    agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)
    state = str(loop.desk.paths.state)

    assert main(("adoption", "decline", request_id, "--why", "Too late.", "--state", state)) == 2

    assert f"report-abuse-desk partner end-invitation {CALLED} --state {state}\n" in capsys.readouterr().err
