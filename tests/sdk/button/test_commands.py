"""`report-abuse-partner button snippet`, `csp` and `well-known`: with a partner's folder, without one, and in error."""

import json
from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from partner_sdk._commands.runtime import EXIT_FAILED
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOURS
from partner_sdk.button.release import SCRIPT_INTEGRITY
from partner_sdk.button.well_known import PATH, parse_well_known
from partner_sdk.cli import main
from partner_sdk.client.account import send_registration
from partner_sdk.client.partner import Partner as Client
from partner_sdk.wire.registration import TEMPLATE
from tests.builders import NOW, PUBLIC_ORIGIN, House, StillClock
from tests.sdk.button.button_builders import read_golden, read_link
from tests.sdk.renew_button_release import ORIGIN, PLACEMENT
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_state, session_for

MAKE = (
    *("button", "well-known", "make", "--placement", "example-chat-help", "--service", "Example Chat"),
    *("--hours", "Every day, 08:00 to 22:00, London"),
)
CONTACT = ("--contact", "Safety team", "--email", "safety@chat.example")


@pytest.fixture
def alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A command line without a folder of a partner, and without a network."""
    return Terminal(tmp_path / "nothing", ScriptedGateway(), capsys)


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A command line of an enrolled partner, without a network."""
    make_state(tmp_path / "partner")
    return Terminal(tmp_path / "partner", ScriptedGateway(), capsys)


def test_snippet_without_a_folder_needs_the_address_and_is_the_golden_file(alone: Terminal) -> None:
    assert alone.run("button", "snippet", "--placement", PLACEMENT) == EXIT_FAILED
    assert "--origin https://" in alone.err
    assert "(no-origin)" in alone.err
    assert alone.run("button", "snippet", "--placement", PLACEMENT, "--origin", ORIGIN) == 0
    assert alone.out == read_golden("en", "script")
    assert alone.err == ""


def test_snippet_takes_the_address_of_the_folder_and_has_no_mark(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", PLACEMENT, "--language", "cy", "--form", "link") == 0
    assert line.out == read_golden("cy", "link").replace(ORIGIN, PUBLIC_ORIGIN)
    assert "theme's link colour" in line.err
    assert line.run("button", "snippet", "--placement", PLACEMENT, "--origin", ORIGIN) == 0
    assert line.out == read_golden("en", "script")


def test_link_id_for_tests_comes_with_a_word_to_replace_it(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", "test", "--origin", ORIGIN) == 0
    assert line.out == read_golden("en", "script").replace(PLACEMENT, "test")
    assert "Put your own in its place before your page goes live" in line.err


def test_name_in_the_tree_is_not_told_twice(line: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("button", "snippet", "--placement", PLACEMENT, "--for", "react")
    assert line.run(*command, "--out", FILE_NAMES["react"]) == 0
    assert f"Wrote {FILE_NAMES['react']}." in line.out
    assert "In your tree" not in line.out


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_snippet_of_every_flavour_is_written_to_a_file(flavour: str, line: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    command = ("button", "snippet", "--placement", PLACEMENT, "--for", flavour, "--size", "56")
    assert line.run(*command) == 0
    printed = line.out
    assert line.run(*command, "--out", str(file)) == 0
    assert f"In your tree it is {FILE_NAMES[flavour]}." in line.out
    written = file.read_text(encoding="utf-8")
    assert written.rstrip("\n") == printed.rstrip("\n")
    assert PUBLIC_ORIGIN in written
    assert line.run(*command, "--json") == 0
    assert line.json()["text"] == written


@pytest.mark.parametrize(
    "words",
    [
        *(("--size", "28"), ("--language", "fr"), ("--for", "angular"), ("--theme", "dark"), ("--form", "button")),
        ("--label", "Help"),
    ],
)
def test_wish_that_was_not_agreed_is_wrong_usage(words: tuple[str, ...], line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", PLACEMENT, *words) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--placement", "Example Chat"), "bad-placement"),
        (("--placement", PLACEMENT, "--origin", "http://report.example"), "bad-origin"),
        (("--placement", PLACEMENT, "--out", "/nowhere/at/all.html"), "cannot-write"),
    ],
)
def test_mistake_is_named_and_nothing_is_printed(words: tuple[str, ...], reason: str, line: Terminal) -> None:
    assert line.run("button", "snippet", *words) == EXIT_FAILED
    assert f"({reason})" in line.err
    assert line.out == ""


@pytest.mark.parametrize(
    ("origin", "said"), [("http://report.example", "Use https://"), ("https://report.example/", "or a / at the end")]
)
def test_address_of_the_agency_that_is_refused_is_told_how_to_be_spelled(
    origin: str, said: str, alone: Terminal
) -> None:
    assert alone.run("button", "csp", "--origin", origin) == EXIT_FAILED
    assert said in alone.err


def test_folder_that_is_none_is_named(alone: Terminal) -> None:
    assert alone.run("button", "check", "page.html", "--state", "nosuch") == 2
    assert "nosuch is not the folder of an enrolled partner" in alone.err
    assert alone.run("button", "context", "page.json", "--state", "nosuch") == EXIT_FAILED
    assert "give yours with --state" in alone.err


def test_csp_prints_the_line_alone_and_says_beside_it_what_is_not_needed(line: Terminal) -> None:
    assert line.run("button", "csp") == 0
    assert line.out == f"script-src {PUBLIC_ORIGIN}/button/\n"
    assert "Not needed: style-src" in line.err
    assert line.run("button", "csp", "--by", "hash", "--json") == 0
    assert line.json()["line"] == f"script-src '{SCRIPT_INTEGRITY}'"
    assert line.run("button", "csp", "--form", "link") == 0
    assert line.out == f"img-src {PUBLIC_ORIGIN}/button/\n"
    assert line.run("button", "csp", "--form", "link", "--by", "hash") == EXIT_FAILED


def test_well_known_file_is_made_and_checked(line: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "report-abuse.json"
    assert line.run(*MAKE, *CONTACT, "--language", "en", "--language", "cy", "--out", str(file)) == 0
    assert PATH in line.out
    found = parse_well_known(file.read_bytes())
    assert (found.agency, found.languages) == (PUBLIC_ORIGIN, ("en", "cy"))
    assert (found.contact.name, found.contact.telephone) == ("Safety team", None)
    assert line.run(*MAKE, *CONTACT, "--language", "en", "--language", "cy") == 0
    assert line.out.encode() == file.read_bytes()
    assert line.run("button", "well-known", "check", str(file)) == 0
    assert line.out.count("ok  ") == 4


def test_contact_comes_from_the_registration(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_state(tmp_path / "partner", agency=house.agency)
    wire = WsgiTransport(house.open_app("industry"))
    line = Terminal(tmp_path / "partner", wire, capsys)
    assert line.run(*MAKE) == EXIT_FAILED
    assert "(no-contact)" in line.err
    client = Client.open(tmp_path / "partner", session=session_for(wire), clock=StillClock())
    send_registration(client, TEMPLATE, now=NOW)
    client.close()
    assert line.run(*MAKE) == 0
    contact = json.loads(line.out)["contact"]
    assert contact == {"email": "safety@chat.example", "name": "Safety team", "telephone": "+44 20 7946 0002"}
    # Who leads the organisation, and whom police may phone at night, is nobody else's to read.
    assert "administrator" not in line.out
    assert TEMPLATE.law_enforcement_contact.email not in line.out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--email", "safety@chat.example"), "--contact"),
        (("--contact", "Team", "--email", "safety"), "--email"),
        ((*CONTACT, "--telephone", "01482 1"), "--telephone"),
        ((*CONTACT, "--telephone", "01482 496 000"), "--telephone"),
        ((*CONTACT, "--telephone", "+44 1482"), "--telephone"),
    ],
)
def test_contact_that_is_none_is_refused_and_the_option_is_named(
    words: tuple[str, ...], option: str, alone: Terminal
) -> None:
    assert alone.run(*MAKE, "--origin", ORIGIN, *words) == EXIT_FAILED
    assert f"Give {option}" in alone.err
    assert "(bad-contact)" in alone.err
    assert alone.run(*MAKE, "--origin", ORIGIN, *CONTACT, "--telephone", "+44 1482 496 000") == 0


def test_check_of_a_bad_file_says_what_to_do(line: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "report-abuse.json"
    file.write_text("{}", encoding="utf-8")
    assert line.run("button", "well-known", "check", str(file)) == EXIT_FAILED
    assert "FAULT" in line.out
    assert "well-known make" in line.out
    assert line.run("button", "well-known", "check", str(file), "--json") == EXIT_FAILED
    assert line.json()["well"] is False
    assert line.run("button", "well-known", "check", str(tmp_path / "none.json")) == EXIT_FAILED
    assert line.run("button", "well-known", "check", "chat.example") == EXIT_FAILED
    assert "An address begins with https://." in line.err


def serve(line: Terminal, *answer: object) -> ScriptedGateway:
    """Let the network of a terminal answer any request once."""
    service = ScriptedGateway(answer)
    line.adapter = service
    return service


@pytest.fixture
def anywhere(line: Terminal) -> Terminal:
    """A terminal whose network reaches its adapter at every https address."""
    line.origin = "https://"
    return line


@pytest.mark.parametrize("address", ["https://chat.example", "https://chat.example/", f"https://chat.example{PATH}"])
def test_service_is_checked_by_its_address(address: str, anywhere: Terminal) -> None:
    assert anywhere.run(*MAKE, *CONTACT) == 0
    service = serve(anywhere, 200, {}, anywhere.out.encode())
    assert anywhere.run("button", "well-known", "check", address) == 0
    service.check_used(1)
    (asked,) = service.requests
    assert asked.url == f"https://chat.example{PATH}"
    assert not {"Signature", "Cookie", "Authorization"} & set(asked.headers)


@pytest.mark.parametrize(
    "answer", [(404, {}, b""), (302, {"Location": "https://other.example/"}, b""), (200, {}, b"<html>")]
)
def test_service_without_such_a_file_fails(answer: tuple[object, ...], anywhere: Terminal) -> None:
    service = serve(anywhere, *answer)
    assert anywhere.run("button", "well-known", "check", "https://chat.example") == EXIT_FAILED
    assert "FAULT" in anywhere.out
    assert ("serve it at" in anywhere.out) == (answer[0] != 200)
    service.check_used(1)


@pytest.mark.parametrize("address", ["http://chat.example", "https://chat.example/path", "https://Chat.example"])
def test_address_that_is_none_is_never_asked(address: str, anywhere: Terminal) -> None:
    service = ScriptedGateway()
    anywhere.adapter = service
    assert anywhere.run("button", "well-known", "check", address) == EXIT_FAILED
    assert "without a path" in anywhere.out
    assert "well-known make" not in anywhere.out
    service.check_used(0)


def test_service_that_does_not_answer_is_not_called_a_gateway(anywhere: Terminal) -> None:
    anywhere.adapter = ScriptedGateway(ConnectionError())
    assert anywhere.run("button", "well-known", "check", "https://chat.example") == EXIT_FAILED
    assert "https://chat.example cannot be reached" in anywhere.out
    assert "well-known make" not in anywhere.out
    assert "gateway" not in anywhere.out


def test_link_of_every_printed_snippet_is_the_placement(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", "example-chat-dm", "--form", "link") == 0
    assert read_link(line.out) == f"{PUBLIC_ORIGIN}/?from=example-chat-dm"


@pytest.mark.parametrize("words", ["snippet", "csp", "adopt", "well-known make", "well-known check"])
def test_help_lists_no_exit_code_that_the_command_cannot_give(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["button", *words.split(), "--help"]) == 0
    said = capsys.readouterr().out.partition("Exit codes:")[2]
    assert [line.split()[0] for line in said.splitlines() if line.strip()] == ["0", "1", "2"]
