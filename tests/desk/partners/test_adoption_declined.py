"""A request that was invited and then declined leaves no invitation behind, however far the service has come."""

import shlex

import msgspec
import pytest

from gateway.desk.cli import main
from gateway.desk.partners.adoption_decisions import decline_adoption, invite_adopter
from gateway.desk.partners.adoptions import AdoptionError, get_adoption
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.enrolments import collect_enrolments
from gateway.desk.partners.invitations import publish_invitations
from gateway.desk.partners.register import PartnerError, list_partners
from partner_sdk.wire.enrolment import Invitation
from tests.builders import Partner
from tests.desk.adoption_builders import CALLED, MARKED, add_waiting, list_actions
from tests.desk.desk_loop import ACTOR, Loop


def invite(loop: Loop, request_id: str) -> Invitation:
    """Invite a service, and publish that to the gateway."""
    invitation, _ = invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR)
    publish_invitations(loop.desk, loop.desk.make_feed())
    return invitation


def list_known(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [row.state for row in list_partners(connection) if row.partner == CALLED]


def test_enrolment_with_the_invitation_of_a_declined_request_is_refused(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    invitation = invite(loop, request_id)

    decline_adoption(loop.desk, request_id, reason="We could not reach you.", actor=ACTOR)
    loop.answer(invitation, partner=Partner(CALLED))
    taken = collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR)

    assert (taken.waiting, taken.refused) == ((), {(CALLED, "invitation-used"): 1})
    assert list_known(loop) == []
    assert (ACTOR, "end-invitation") in list_actions(loop.desk, CALLED)


def test_enrolment_that_waits_is_refused_with_the_request(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    loop.answer(invite(loop, request_id), partner=Partner(CALLED))
    assert collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR).waiting == (CALLED,)

    decline_adoption(loop.desk, request_id, reason="We could not reach you.", actor=ACTOR)

    assert list_known(loop) == []
    with pytest.raises(PartnerError):
        approve_partner(loop.desk, partner=CALLED, actor=ACTOR)


def test_request_of_a_partner_that_was_approved_is_not_declined(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    loop.answer(invite(loop, request_id), partner=Partner(CALLED))
    collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR)
    approve_partner(loop.desk, partner=CALLED, actor=ACTOR)

    with pytest.raises(AdoptionError, match=f"partner suspend {CALLED}"):
        decline_adoption(loop.desk, request_id, reason="Too late.", actor=ACTOR)

    with loop.desk.store.read() as connection:
        assert get_adoption(connection, request_id).state == "invited"


def test_decline_that_is_suggested_is_refused_until_it_has_a_reason(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id, state = add_waiting(loop.desk), ("--state", str(loop.desk.paths.state))
    assert main(("adoption", "show", request_id, *state)) == 0
    line = capsys.readouterr().out.partition("or: report-abuse-desk ")[2].partition("\n")[0]

    assert main(shlex.split(line)) == 2

    assert "a letter or a digit" in capsys.readouterr().err
    with loop.desk.store.read() as connection:
        assert get_adoption(connection, request_id).state == "waiting"


def test_invitation_of_a_service_that_did_not_want_to_report_is_made_with_a_word(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    service = msgspec.structs.replace(MARKED, wants_to_report=False)
    request_id = add_waiting(loop.desk, service=service)
    file = loop.folder / "one.invitation"
    state = str(loop.desk.paths.state)

    main(("adoption", "invite", request_id, "--owner", CALLED, "--out", str(file), "--state", state))

    assert "did not ask to report" in capsys.readouterr().out
