"""Requests to show the button are decided at the desk: a service is invited, a place agreed, or it is declined."""

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gateway.desk.cli import main
from gateway.desk.commands import collecting
from gateway.desk.keyring import commands as keyring_commands
from gateway.desk.partners import adoption_commands
from gateway.desk.partners.adoption_decisions import (
    Place,
    agree_place,
    decline_adoption,
    invite_adopter,
    list_agreed_places,
    read_texts,
)
from gateway.desk.partners.adoptions import AdoptionError, get_adoption
from gateway.desk.placements.register import SURFACE_TITLES, PlacementError, find_owner_name, list_placements
from partner_sdk.button.snippet import make_snippet
from partner_sdk.wire.adoption import format_request_number
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.page_context import Surface
from tests.desk.adoption_builders import (
    CALLED,
    MARKED,
    MARKER,
    PLACE_WORDS,
    add_waiting,
    ask,
    list_actions,
)
from tests.desk.desk_loop import ACTOR, Loop
from tests.gateway.adoption_builders import make_id

PLACE = Place(surface="chat", address="https://chat.example/rooms/*", position="Above the first message")


def line_of(loop: Loop, request_id: str) -> tuple[str, str | None]:
    with loop.desk.store.read() as connection:
        line = get_adoption(connection, request_id)
    return line.state, line.owner


@pytest.fixture
def in_process(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands have the clock of the loop, and its feed without a socket."""
    for file in (adoption_commands, collecting, keyring_commands):
        monkeypatch.setattr(file, "open_desk", lambda state: loop.desk)


def run(loop: Loop, *words: str) -> int:
    action, *rest = words
    return main(("adoption", action, "--state", str(loop.desk.paths.state), *rest))


def test_service_without_keys_is_registered_by_its_first_place_and_gets_its_links(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    row, mail = agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)
    _, second = agree_place(
        loop.desk, request_id, owner=CALLED, place=replace_place(PLACE, surface="profile"), actor=ACTOR
    )

    assert (row.owner, row.service, row.state) == (CALLED, "Example Chat", "agreed")
    with loop.desk.store.read() as connection:
        assert find_owner_name(connection, CALLED) == "Example Chat Ltd"
        placements = [one.placement for one in list_placements(connection, owner=CALLED)]
    assert (mail.to, mail.subject) == ("safety@chat.example", "The Report Abuse button for Example Chat")
    origin = loop.desk.config.gateway_origin
    assert f"{origin}/?from={row.placement}" in mail.text
    assert f"report-abuse-partner button snippet --origin {origin} --placement {row.placement}" in mail.text
    assert all(f"--placement {one}" in second.text for one in placements)
    assert line_of(loop, request_id) == ("agreed", CALLED)
    assert [action for _, action in list_actions(loop.desk, request_id)] == ["agree-adoption"] * 2


def test_place_agreed_by_the_short_number_belongs_to_its_request(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    number = format_request_number(request_id)

    row, mail = agree_place(loop.desk, number, owner=CALLED, place=PLACE, actor=ACTOR)

    assert f"--placement {row.placement}" in mail.text
    with loop.desk.store.read() as connection:
        assert list_agreed_places(connection, request_id) == [row.placement]
    with pytest.raises(AdoptionError, match=f"placement end {row.placement} "):
        decline_adoption(loop.desk, number, reason="No longer wanted", actor=ACTOR)


def replace_place(place: Place, **changes: str) -> Place:
    return Place(**{name: changes.get(name, getattr(place, name)) for name in Place.__dataclass_fields__})


def test_place_that_cannot_be_agreed_decides_nothing(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    with pytest.raises(PlacementError):
        agree_place(
            loop.desk, request_id, owner=CALLED, place=replace_place(PLACE, address="http://chat.example"), actor=ACTOR
        )

    assert line_of(loop, request_id) == ("waiting", None)
    with loop.desk.store.read() as connection:
        assert find_owner_name(connection, CALLED) is None


def test_service_that_wants_to_report_is_invited_and_the_secret_is_not_in_the_mail(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    invitation, mail = invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR)

    assert (invitation.partner, invitation.name) == (CALLED, "Example Chat Ltd")
    assert invitation.secret not in mail.text
    assert invitation.root_fingerprint in mail.text
    assert parse_base64url(invitation.secret)
    assert line_of(loop, request_id) == ("invited", CALLED)
    agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)
    assert line_of(loop, request_id) == ("agreed", CALLED)


def test_stranger_gets_no_invitation_for_a_partner_that_is_registered(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    with pytest.raises(AdoptionError) as caught:
        invite_adopter(loop.desk, request_id, owner="example-chat", actor=ACTOR)

    assert caught.value.reason == "known-partner"
    assert line_of(loop, request_id) == ("waiting", None)


def test_request_keeps_the_id_that_it_was_given_first(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR)

    with pytest.raises(AdoptionError) as caught:
        agree_place(loop.desk, request_id, owner="somebody-else", place=PLACE, actor=ACTOR)

    assert caught.value.reason == "other-owner"


def test_request_is_declined_with_words_and_stays_declined(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    mail = decline_adoption(loop.desk, request_id, reason=" We could not\n reach you. ", actor=ACTOR)

    assert mail is not None
    assert "We could not reach you." in mail.text
    with loop.desk.store.read() as connection:
        line = get_adoption(connection, request_id)
    assert (line.state, line.reason, line.decided_by) == ("declined", "We could not reach you.", ACTOR)
    for deed in (
        lambda: decline_adoption(loop.desk, request_id, reason="Again.", actor=ACTOR),
        lambda: agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR),
        lambda: invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR),
    ):
        with pytest.raises(AdoptionError) as caught:
            deed()
        assert caught.value.reason == "declined"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a bell \x07"])
def test_reason_of_a_decline_is_one_line_of_words(loop: Loop, reason: str) -> None:
    request_id = add_waiting(loop.desk)
    with pytest.raises(AdoptionError):
        decline_adoption(loop.desk, request_id, reason=reason, actor=ACTOR)
    assert line_of(loop, request_id) == ("waiting", None)


def test_agreed_request_is_ended_by_its_placements_and_not_declined(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)

    with pytest.raises(AdoptionError) as caught:
        decline_adoption(loop.desk, request_id, reason="Too late.", actor=ACTOR)

    assert "placement end" in str(caught.value)


def test_service_that_asks_in_welsh_is_answered_in_welsh(loop: Loop) -> None:
    request_id = add_waiting(loop.desk, service=msgspec.structs.replace(MARKED, language="cy"))

    row, mail = agree_place(loop.desk, request_id, owner=CALLED, place=PLACE, actor=ACTOR)

    assert "Y botwm Report Abuse" in mail.subject
    assert f"--placement {row.placement} --language cy" in mail.text


def test_mail_has_a_whole_line_to_check_each_place_with(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    looked_at = replace_place(PLACE, look_at="https://chat.example/rooms/sam", surface="profile")
    agree_place(loop.desk, request_id, owner=CALLED, place=replace_place(PLACE, look_at=None), actor=ACTOR)

    row, mail = agree_place(loop.desk, request_id, owner=CALLED, place=looked_at, actor=ACTOR)

    check = f"report-abuse-partner button check {row.look_at} --origin {loop.desk.config.gateway_origin}"
    assert f"  {check} --placement {row.placement}\n" in mail.text
    assert mail.text.count("report-abuse-partner button check ") == 2
    assert "button check ADDRESS --origin" in mail.text
    assert "Replace ADDRESS with the address of one of these pages:" in mail.text


@pytest.mark.parametrize("language", ["en", "cy"])
def test_mail_has_the_lines_of_html_for_who_installs_nothing(loop: Loop, language: str) -> None:
    request_id = add_waiting(loop.desk, service=msgspec.structs.replace(MARKED, language=language))
    rows = []
    for surface in ("chat", "profile"):
        place = replace_place(PLACE, surface=surface)
        row, mail = agree_place(loop.desk, request_id, owner=CALLED, place=place, actor=ACTOR)
        rows.append(row)

    origin = loop.desk.config.gateway_origin
    for row in rows:
        for form in ("link", "script"):
            assert make_snippet(origin, placement=row.placement, language=language, form=form) in mail.text
    assert "Where the button belongs" in mail.text


def test_every_mail_goes_on_with_a_capital_letter_after_the_greeting() -> None:
    for language in ("en", "cy"):
        for occasion in ("agreed", "invited", "declined"):
            _, first, *_ = read_texts()[language][occasion]["text"].strip().split("\n\n")
            assert first[0].isupper()


@pytest.mark.parametrize(("language", "title"), [("en", "Direct message"), ("cy", "Neges uniongyrchol")])
def test_mail_names_the_kind_of_place_in_words_and_never_by_its_code(loop: Loop, language: str, title: str) -> None:
    request_id = add_waiting(loop.desk, service=msgspec.structs.replace(MARKED, language=language))
    place = replace_place(PLACE, surface="direct_message")

    _, mail = agree_place(loop.desk, request_id, owner=CALLED, place=place, actor=ACTOR)

    assert f"Example Chat, {title}: Above the first message\n" in mail.text
    assert "direct_message" not in mail.text


def test_every_kind_of_place_has_a_title_in_both_languages() -> None:
    titles = read_texts()["surfaces"]
    assert titles["en"] == SURFACE_TITLES
    assert set(titles["cy"]) == set(get_args(Surface))
    assert "" not in titles["cy"].values()


def test_texts_have_the_same_places_to_fill_in_in_both_languages() -> None:
    english, welsh = read_texts()["en"], read_texts()["cy"]
    assert set(english) == set(welsh) == {"agreed", "invited", "declined"}
    for occasion in english:
        for part in ("subject", "text"):
            texts = (english[occasion][part], welsh[occasion][part])
            assert (
                len(
                    {
                        frozenset(text.split("{")[n].partition("}")[0] for n in range(1, text.count("{") + 1))
                        for text in texts
                    }
                )
                == 1
            )


def test_braces_in_what_a_service_typed_are_no_format(loop: Loop) -> None:
    hostile = msgspec.structs.replace(MARKED, contact_name="{places.__class__}", service_name="{0}{agency}")
    request_id = add_waiting(loop.desk, service=hostile)

    mail = decline_adoption(loop.desk, request_id, reason="{reason}", actor=ACTOR)

    assert mail is not None
    assert "Hello {places.__class__}," in mail.text
    assert "{reason}" in mail.text


@pytest.mark.usefixtures("in_process")
def test_commands_list_show_agree_and_decline(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    request_id, other = ask(loop), ask(loop, 2)
    state = ("--state", str(loop.desk.paths.state))
    assert main(("collect", *state, "--json")) in {0, 1}
    assert json.loads(capsys.readouterr().out)["adoption_requests"] == 2

    assert run(loop, "list") == 0
    out = capsys.readouterr().out
    assert request_id in out
    assert MARKER not in out

    assert run(loop, "show", request_id) == 0
    out = capsys.readouterr().out
    assert f"S. {MARKER}" in out
    assert "The sender is not verified" in out

    assert run(loop, "agree", request_id, *PLACE_WORDS) == 0
    out = capsys.readouterr().out
    assert "To: safety@chat.example" in out
    assert f"/?from={CALLED}-profile" in out
    assert "the desk never writes to a service it does not know" in out
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert f"{CALLED}-profile" in keys.placements

    assert run(loop, "decline", other, "--why", "You asked twice.") == 0
    assert "You asked twice." in capsys.readouterr().out
    assert run(loop, "list", "--all", "--json") == 0
    assert {one["state"] for one in json.loads(capsys.readouterr().out)["requests"]} == {"agreed", "declined"}
    assert run(loop, "show", make_id(9)) == 2


@pytest.mark.usefixtures("in_process")
def test_command_invites_into_a_file_that_only_its_owner_reads(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id, out = add_waiting(loop.desk), tmp_path / "show.invitation"

    assert run(loop, "invite", request_id, "--owner", CALLED, "--out", str(out)) == 0

    said = capsys.readouterr().out
    secret = json.loads(out.read_bytes())["secret"]
    assert secret not in said
    assert out.stat().st_mode & 0o777 == 0o600
    with loop.gateway.store.read() as connection:
        partners = connection.exec_driver_sql("SELECT partner FROM invitations").scalars().all()
    assert CALLED in partners


def test_control_characters_of_a_message_do_not_reach_the_terminal(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = add_waiting(loop.desk, service=msgspec.structs.replace(MARKED, message="a\n\u200bb\ufeffc"))

    assert run(loop, "show", request_id) == 0

    out = capsys.readouterr().out
    assert not {"\u200b", "\ufeff"} & set(out)
