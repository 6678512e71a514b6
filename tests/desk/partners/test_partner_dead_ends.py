"""A command given the wrong id, state or kind explains the mistake, and names the right line."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import insert, update

from gateway.desk.cli import main
from gateway.desk.keyring import commands as keyring_commands
from gateway.desk.partners import commands as partner_commands
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.change_decisions import get_waiting_change
from gateway.desk.partners.enrolments import collect_enrolments
from gateway.desk.partners.invitations import invite_partner, publish_invitations
from gateway.desk.partners.key_ends import revoke_key, suspend_partner
from gateway.desk.partners.register import PartnerError, PartnerState, find_open_invitation, get_partner
from gateway.desk.partners.registrations import get_partner_view
from gateway.desk.placements.agreeing import end_placement, resume_placement, suspend_placement
from gateway.desk.placements.register import PlacementError, get_placement
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, INVITATIONS, PARTNERS
from gateway.desk.terminal import DONE, TRY_AGAIN, WRONG_USE
from gateway.desk.wiring import Desk
from partner_sdk.errors import TransportError
from partner_sdk.wire.canonical import parse_time
from tests.builders import PUBLIC_ORIGIN, Partner
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.placement_builders import LINK_ID, agree

FORUM = "small-forum"
NOON = "2026-11-25T12:00:00Z"


def agree_with_forum(desk: Desk, count: int) -> list[str]:
    """Register a service without keys by so many places of its button."""
    return [
        agree(
            desk,
            owner=FORUM,
            new_owner="Small Forum CIC",
            service="Small Forum",
            address=f"https://forum.example/{number}",
            look_at=None,
        ).placement
        for number in range(count)
    ]


def refusal_to_suspend(desk: Desk, partner: str) -> str:
    with pytest.raises(PartnerError) as caught:
        suspend_partner(desk, partner=partner, actor=ACTOR)
    assert caught.value.reason == "unknown-partner"
    return str(caught.value)


def test_service_without_keys_is_suspended_by_its_places_and_each_line_is_named(desk: Desk) -> None:
    first, second, third = agree_with_forum(desk, 3)
    suspend_placement(desk, third, reason="Gone.", actor=ACTOR)

    said = refusal_to_suspend(desk, FORUM)

    assert 'small-forum is "Small Forum CIC". It has no keys and sends no reports' in said
    assert f'report-abuse-desk placement suspend {first} --reason "…"' in said
    assert f"The same for {second}." in said
    assert third not in said


def test_long_list_of_places_is_named_by_its_command(desk: Desk) -> None:
    places = agree_with_forum(desk, 7)

    said = refusal_to_suspend(desk, FORUM)

    assert places[4] in said
    assert places[5] not in said
    assert "All 7 of them: report-abuse-desk placement list --owner small-forum" in said


def test_old_name_that_a_command_would_read_as_an_option_is_left_to_the_operator(desk: Desk) -> None:
    invite_partner(desk, partner="example-chat", name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
    with desk.store.write() as connection:  # from a release before such names were refused
        connection.execute(update(INVITATIONS).values(name="--origin=https://evil.example"))
    with desk.store.read() as connection:
        invitation = find_open_invitation(connection, "example-chat", now=desk.clock())

    assert invitation is not None
    assert invitation.command == "report-abuse-desk partner invite '…' --partner example-chat --out FILE"
    with pytest.raises(PartnerError, match="letter or digit"):
        invite_partner(desk, partner="example-chat", name="…", origin=PUBLIC_ORIGIN, actor=ACTOR)


def test_line_that_is_named_works_as_it_stands(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (only,) = agree_with_forum(desk, 1)
    words = refusal_to_suspend(desk, FORUM).partition("Next: report-abuse-desk ")[2]

    assert main([*shlex.split(words), "--state", str(desk.paths.state)]) == WRONG_USE
    line = words.replace('"…"', "Gone").split()

    assert main([*line, "--state", str(desk.paths.state)]) == DONE
    assert f"{only} is suspended." in capsys.readouterr().out
    assert "None of its buttons is in the register now" in refusal_to_suspend(desk, FORUM)


def test_link_id_in_place_of_a_partner_is_told_with_its_own_command(desk: Desk) -> None:
    agree(desk)

    assert f'placement suspend {LINK_ID} --reason "…"' in refusal_to_suspend(desk, LINK_ID)
    suspend_placement(desk, LINK_ID, reason="Gone.", actor=ACTOR)
    assert f"It is already suspended: report-abuse-desk placement show {LINK_ID}" in refusal_to_suspend(desk, LINK_ID)
    assert refusal_to_suspend(desk, "nobody") == "There is no partner nobody. `partner list` shows every partner."


def test_other_commands_of_partners_say_the_same_of_a_service_without_keys(desk: Desk) -> None:
    agree_with_forum(desk, 1)
    listed = "Its buttons: report-abuse-desk placement list --owner small-forum"

    with pytest.raises(PartnerError, match=listed):
        revoke_key(desk, partner=FORUM, actor=ACTOR)
    with desk.store.read() as connection, pytest.raises(PartnerError, match=listed):
        get_partner_view(connection, FORUM, now=desk.clock())
    with pytest.raises(
        PartnerError, match="It has no invitation either: run `partner invite NAME --partner small-forum --out FILE`"
    ):
        approve_partner(desk, partner=FORUM, actor=ACTOR)
    with pytest.raises(PartnerError, match="Its keys are already in force"):
        approve_partner(desk, partner=PARTNER, actor=ACTOR)
    with pytest.raises(PartnerError, match="There is no partner nobody"):
        approve_partner(desk, partner="nobody", actor=ACTOR)


def test_invited_and_waiting_partners_are_told_apart(loop: Loop) -> None:
    invitation = invite_partner(loop.desk, partner="new-one", name="New One", origin=PUBLIC_ORIGIN, actor=ACTOR)
    publish_invitations(loop.desk, loop.desk.make_feed())
    assert f"It is invited until {invitation.expires_at} and has no keys yet" in refusal_to_suspend(
        loop.desk, "new-one"
    )
    with pytest.raises(PartnerError, match="Has the partner run `report-abuse-partner enrol`"):
        approve_partner(loop.desk, partner="new-one", actor=ACTOR)

    loop.answer(invitation, partner=Partner("new-one"))
    collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR)

    assert "Its keys are waiting for `partner approve new-one`" in refusal_to_suspend(loop.desk, "new-one")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("active", "is suspended. If it may continue later, invite it again"),
        ("suspended", "was already suspended"),
        ("revoked", "stays revoked, which is stronger than suspended: none of its keys is in force"),
    ],
)
def test_suspending_says_what_it_changed_and_that_buttons_stay(
    state: str, words: str, desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agree(desk)
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(state=state))
    for file in (partner_commands, keyring_commands):
        monkeypatch.setattr(file, "open_desk", lambda _: desk)
    monkeypatch.setattr(partner_commands, "publish_register", lambda *_, **__: DONE)

    assert main(["partner", "suspend", PARTNER, "--state", str(desk.paths.state)]) == DONE

    said = capsys.readouterr().out
    assert f"{PARTNER} {words}" in said
    command = f"report-abuse-desk placement list --owner {PARTNER} --state {shlex.quote(str(desk.paths.state))}"
    assert f"1 place of its button stays: {command}\n" in said


def test_two_places_that_stay_are_counted_in_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agree(desk)
    agree(desk, link_id="another")
    monkeypatch.setattr(partner_commands, "publish_register", lambda *_, **__: DONE)

    assert main(["partner", "suspend", PARTNER, "--state", str(desk.paths.state)]) == DONE

    assert "2 places of its button stay: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "words"),
    [("active", "is suspended"), ("suspended", "was suspended before"), ("revoked", "stays revoked")],
)
def test_fault_of_the_network_says_what_stands_of_a_partner_and_no_more(
    state: PartnerState,
    words: str,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise TransportError("No answer.", reason="no-answer")

    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(state=state, revoked_at=NOON if state == "revoked" else None))
    monkeypatch.setattr(keyring_commands, "publish", fail)

    assert main(["partner", "suspend", PARTNER, "--state", str(desk.paths.state)]) == TRY_AGAIN

    assert f"{PARTNER} {words}; tell the gateway later: report-abuse-desk publish --state " in capsys.readouterr().err
    with desk.store.read() as connection:
        kept = get_partner(connection, PARTNER, now=desk.clock()).state
    assert kept == ("revoked" if state == "revoked" else "suspended")


def test_invitation_that_has_ended_says_when_and_the_line_that_invites_again(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = loop.desk
    invitation = invite_partner(
        desk, partner="new-one", name="New O'One", origin=PUBLIC_ORIGIN, actor=ACTOR, type="police", country="GB"
    )
    loop.clock.now = parse_time(invitation.expires_at) - timedelta(seconds=1)
    assert f"It is invited until {invitation.expires_at}" in refusal_to_suspend(desk, "new-one")
    loop.clock.now += timedelta(seconds=1)

    said = refusal_to_suspend(desk, "new-one")
    with pytest.raises(PartnerError) as caught:
        approve_partner(desk, partner="new-one", actor=ACTOR)

    ended = f"Its invitation ended unused at {invitation.expires_at}."
    assert ended in said
    assert "invited until" not in said
    assert ended in str(caught.value)
    line = str(caught.value).partition("report-abuse-desk ")[2].removesuffix(".")
    assert line in said
    words = [str(tmp_path / "again") if word == "FILE" else word for word in shlex.split(line)]
    monkeypatch.setattr(partner_commands, "open_desk", lambda _: desk)
    assert main([*words, "--state", str(desk.paths.state)]) == DONE
    with desk.store.read() as connection:
        again = find_open_invitation(connection, "new-one", now=loop.clock())
    assert again is not None
    assert (again.name, again.type, again.country, again.has_ended) == ("New O'One", "police", "GB", False)


def test_partner_in_force_that_left_an_invitation_unused_is_told_so(loop: Loop) -> None:
    invitation = invite_partner(
        loop.desk, partner=loop.partner.partner, name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR
    )
    loop.clock.now = parse_time(invitation.expires_at)

    with pytest.raises(PartnerError, match="Its keys are already in force"):
        approve_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)


def test_change_refused_on_arrival_names_no_person(desk: Desk) -> None:
    with desk.store.write() as connection:
        connection.execute(
            insert(ACCOUNT_CHANGES).values(
                partner=PARTNER,
                change_id="a-change",
                kind="unreadable",
                state="refused",
                reason="key-in-use",
                envelope=b"",
                received_at=NOON,
            )
        )

    with desk.store.read() as connection, pytest.raises(PartnerError) as caught:
        get_waiting_change(connection, "a-change")

    assert "The change a-change was refused on arrival (key-in-use)." in str(caught.value)
    assert "None" not in str(caught.value)


def test_partner_in_place_of_a_link_id_is_told_with_the_list_of_its_places(desk: Desk) -> None:
    agree_with_forum(desk, 1)

    with desk.store.read() as connection, pytest.raises(PlacementError) as caught:
        get_placement(connection, FORUM)

    assert caught.value.reason == "unknown-placement"
    assert "report-abuse-desk placement list --owner small-forum" in str(caught.value)


def test_placement_in_the_wrong_state_says_since_when_and_how_on(desk: Desk) -> None:
    agree(desk)
    with pytest.raises(PlacementError, match="has been in the register since 2026-11-25"):
        resume_placement(desk, LINK_ID, actor=ACTOR)
    suspend_placement(desk, LINK_ID, reason="Behind a menu", actor="B. Analyst")
    with pytest.raises(PlacementError, match=r"since 2026-11-25 by B\. Analyst \(Behind a menu\)") as caught:
        suspend_placement(desk, LINK_ID, reason="Again", actor=ACTOR)
    assert f"report-abuse-desk placement resume {LINK_ID}" in str(caught.value)
    end_placement(desk, LINK_ID, reason="Gone", actor=ACTOR)
    with pytest.raises(PlacementError, match="Agree a new placement"):
        resume_placement(desk, LINK_ID, actor=ACTOR)


def test_list_of_an_owner_tells_a_slip_of_the_pen_from_nothing_agreed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("placement", "list", "--state", str(desk.paths.state), "--owner")

    assert main([*words, "example-chatt"]) == WRONG_USE
    assert "No owner has the id example-chatt" in capsys.readouterr().err
    assert main([*words, PARTNER]) == DONE
    assert f"No placement is agreed with {PARTNER} yet" in capsys.readouterr().out


def test_partner_in_place_of_a_change_is_told_where_its_changes_stand(desk: Desk) -> None:
    with desk.store.read() as connection:
        with pytest.raises(PartnerError, match=f"`partner show {PARTNER}` shows its changes"):
            get_waiting_change(connection, PARTNER)
        with pytest.raises(PartnerError, match="`partner changes --all` shows them"):
            get_waiting_change(connection, "nothing")
