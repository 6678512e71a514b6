"""`package`, `request` and `alert`: an officer reads, acknowledges and asks; nothing is lost without a network."""

import io
import json
import sys
from pathlib import Path

import pytest

from gateway.exchange.feed import THREAD_ENTRY
from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.mailbox import AskedAccount, ReferralFacts, TermsReferral
from tests.builders import DAY, NOW, House, StillClock
from tests.builders import Partner as Enrolled
from tests.sdk.client.test_threads import ALERT, BY, IDS, KINDS, PACKAGE, PRESERVE, post_all, read_at_desk, tell
from tests.sdk.mailbox_builders import make_post, post_to
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

REFERRAL = TermsReferral(
    account=AskedAccount(kind="username", value="mild_example"),
    facts=ReferralFacts(explanation="It is said.", good_faith=True, locations=("https://chat.example/u/1",)),
    rule="Minimum age",
)
WORDS = ("--by", BY)


@pytest.fixture(autouse=True)
def _knows_referrals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, TermsReferral, "terms-referral")


def test_package_goes_from_the_list_to_its_outcome(line: Terminal, house: House, partner: Enrolled) -> None:
    post_all(house, PACKAGE, tell("question", text="Which area?"))
    assert line.run("package", "list") == EXIT_DONE
    assert "NEW  URGENT  A title" in line.out
    assert IDS[1] in line.out
    assert line.run("package", "acknowledge", IDS[1], *WORDS) == EXIT_DONE
    assert "Sent." in line.out
    assert line.run("package", "ask", "1", *WORDS, "--text", "Which school?") == EXIT_DONE
    assert line.run("package", "answer", IDS[1], *WORDS, "--text", "Our area.") == EXIT_DONE
    assert line.run("package", "outcome", IDS[1], "safeguarded", *WORDS, "--json") == EXIT_DONE
    answer = line.json()
    assert (answer["sent"], answer["entry"]["outcome"], answer["entry"]["by"]) == (True, "safeguarded", BY)
    assert [one.kind for one in read_at_desk(house, partner)] == ["acknowledge", "question", "answer", "outcome"]
    assert line.run("package", "show", IDS[1]) == EXIT_DONE
    row, _, shown = line.out.replace("[live] ", "").partition("\n")
    assert row == "outcome told  URGENT  A title"
    written = json.loads(shown)["thread"]
    # The clock stands still, so the own entries have no order among themselves; their words are not kept.
    assert {(one["from"], one["kind"], one["by"], one["outcome"], one["text"]) for one in written} == {
        ("agency", "question", "Duty officer", None, "Which area?"),
        *(("partner", kind, BY, None, None) for kind in ("acknowledge", "question", "answer")),
        ("partner", "outcome", BY, "safeguarded", None),
    }
    assert line.run("package", "show", IDS[1], "--json") == EXIT_DONE
    assert line.json()["package"] == json.loads(shown)


def test_list_names_what_the_agency_asked_and_json_holds_everything_but_the_archive(
    line: Terminal, house: House
) -> None:
    post_all(house, PACKAGE, tell("question", text="Which area?\nAnd since when?"))
    assert line.run("package", "list") == EXIT_DONE
    assert "The agency asks (Duty officer)" in line.out
    assert "Which area?" in line.out
    assert line.run("package", "list", "--offline", "--json") == EXIT_DONE
    (row,) = line.json()["packages"]
    assert (row["title"], row["urgent"], row["state"], row["message_number"]) == ("A title", True, "open", 1)
    assert "archive" not in row
    assert row["archive_sha256"] == PACKAGE.archive_sha256
    (entry,) = row["thread"]
    assert (entry["from"], entry["kind"], entry["text"]) == ("agency", "question", "Which area?\nAnd since when?")


def test_words_without_a_network_are_saved_and_the_flush_sends_them(
    line: Terminal, house: House, partner: Enrolled
) -> None:
    post_all(house, PACKAGE)
    assert line.run("inbox") == EXIT_DONE
    away = Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)
    assert away.run("package", "acknowledge", IDS[1], *WORDS, "--json") == EXIT_NOT_DELIVERED
    assert "NOT SENT. It is sealed and saved: `report-abuse-partner spool flush` sends it." in away.err.splitlines()[-2]
    assert away.json()["sent"] is False
    assert line.run("package", "list", "--offline") == EXIT_DONE
    assert "NOT SENT YET  URGENT  A title" in line.out
    assert line.run("spool", "status") == EXIT_NOT_DELIVERED
    assert f"Your acknowledge of 2026-11-25T08:30:00Z ({BY}), about message {IDS[1]}" in line.out
    assert line.run("doctor") == EXIT_DONE
    assert "1 of your words to the agency not sent" in line.out
    assert away.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert house.items(THREAD_ENTRY) == []
    assert line.run("spool", "flush", "--json") == EXIT_DONE
    assert [one["about"] for one in line.json()["words_sent"]] == [IDS[1]]
    assert [one.kind for one in read_at_desk(house, partner)] == ["acknowledge"]
    assert line.run("spool", "status") == EXIT_DONE


def test_package_that_was_taken_back_meanwhile_is_not_acknowledged(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE, tell("recall", text="It went to the wrong force."))
    assert line.run("package", "acknowledge", IDS[1], *WORDS) == EXIT_FAILED
    assert "The agency took this back" in line.err
    assert line.run("package", "list", "--offline") == EXIT_DONE
    assert "TAKEN BACK" in line.out
    assert house.items(THREAD_ENTRY) == []


def test_request_to_keep_data_is_confirmed_or_declined_in_words(
    line: Terminal, house: House, partner: Enrolled, tmp_path: Path
) -> None:
    post_all(house, PRESERVE, REFERRAL)
    assert line.run("request", "list") == EXIT_DONE
    assert "NEW  due 2026-11-26  keep the data of 1 account" in line.out
    assert "NEW  an account that may break your rules: Minimum age" in line.out
    assert line.run("request", "show", IDS[1]) == EXIT_DONE
    for said in ('"value": "mild_example"', '"preserve_until": "2027-02-23', '"due_at": "2026-11-26'):
        assert said in line.out
    assert line.run("request", "show", IDS[2]) == EXIT_DONE
    assert "https://chat.example/u/1" in line.out
    words = tmp_path / "answer.txt"
    words.write_text("Kept until then.\n", encoding="utf-8")
    assert line.run("request", "answer", IDS[1], *WORDS, "--text-file", str(words)) == EXIT_DONE
    assert line.run("request", "decline", IDS[2], *WORDS, "--text", "No such account.") == EXIT_DONE
    assert [(one.kind, one.text) for one in read_at_desk(house, partner)] == [
        ("answer", "Kept until then."),
        ("decline", "No such account."),
    ]
    assert line.run("request", "list", "--offline", "--json") == EXIT_DONE
    assert {row["kind"]: row["state"] for row in line.json()["requests"]} == {
        "preservation-request": "answered",
        "terms-referral": "declined",
    }


def test_request_to_keep_data_is_not_answered_with_a_report(line: Terminal, house: House) -> None:
    post_all(house, PRESERVE)
    assert line.run("request", "answer", IDS[1], "report.json", "--priority", "P3") == 2
    assert "answer this one in words" in line.err


def test_alert_is_acknowledged_and_written_about(line: Terminal, house: House, partner: Enrolled) -> None:
    post_all(house, ALERT)
    assert line.run("alert", "list") == EXIT_DONE
    assert "NEW  until 2026-11-26  A pattern." in line.out
    assert line.run("alert", "show", IDS[1]) == EXIT_DONE
    assert '"audience": "Services with streams"' in line.out
    assert line.run("alert", "acknowledge", IDS[1], *WORDS) == EXIT_DONE
    assert line.run("alert", "post", IDS[1], *WORDS, "--text", "Seen twice.") == EXIT_DONE
    assert [one.kind for one in read_at_desk(house, partner)] == ["acknowledge", "note"]
    line.clock = StillClock(NOW + 2 * DAY)
    assert line.run("alert", "list", "--offline") == EXIT_DONE
    assert "ended  until 2026-11-26  A pattern." in line.out


def test_each_group_shows_its_own_kinds_alone(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE, PRESERVE, ALERT)
    for word, number in (("package", 1), ("request", 2), ("alert", 3)):
        assert line.run(word, "list", "--json") == EXIT_DONE
        assert [row["message_number"] for row in line.json()[f"{word}s"]] == [number]
        others = {1, 2, 3} - {number}
        assert [line.run(word, "show", IDS[other]) for other in others] == [EXIT_FAILED] * 2
        assert f"There is no {word} with this id here" in line.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("package", "acknowledge", IDS[1]), 2),
        (("package", "outcome", IDS[1], "solved", *WORDS), 2),
        (("package", "ask", IDS[1], *WORDS), 2),
        (("package", "ask", IDS[1], *WORDS, "--text-file", "no-such-file"), EXIT_FAILED),
        (("package", "decline", IDS[1], *WORDS), 2),
        (("package", "acknowledge", IDS[5], *WORDS), EXIT_FAILED),
        (("request", "decline", IDS[1], *WORDS, "--text", "No."), EXIT_FAILED),
    ],
)
def test_wrong_words_send_nothing(line: Terminal, house: House, words: tuple[str, ...], code: int) -> None:
    post_all(house, PACKAGE)
    assert line.run(*words) == code
    assert house.items(THREAD_ENTRY) == []
    assert list((line.folder / "entries").glob("*")) == []


def test_words_come_from_standard_input_and_must_be_text(
    line: Terminal, house: House, partner: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_all(house, PACKAGE)
    ask = ("package", "ask", IDS[1], *WORDS, "--text-file", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    assert line.run(*ask) == EXIT_FAILED
    assert "not text in UTF-8" in line.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Which school?\n")))
    assert line.run(*ask) == EXIT_DONE
    assert [one.text for one in read_at_desk(house, partner)] == ["Which school?"]


def test_words_that_are_too_long_are_refused_and_nothing_is_sent(line: Terminal, house: House, tmp_path: Path) -> None:
    post_all(house, PACKAGE)
    file = tmp_path / "words.txt"
    file.write_text("x" * 20_001, encoding="utf-8")
    assert line.run("package", "ask", IDS[1], *WORDS, "--text-file", str(file)) == EXIT_FAILED
    assert "A text can have up to 20,000 characters." in line.err
    assert line.run("package", "ask", IDS[1], "--by", "x" * 201, "--text", "Which school?") == EXIT_FAILED
    assert "A name can have up to 200 characters." in line.err
    assert house.items(THREAD_ENTRY) == []
    assert list((line.folder / "entries").glob("*")) == []


def test_alarm_of_the_mailbox_ends_every_list_with_its_code(line: Terminal, house: House) -> None:
    first = make_post(1)
    gap = make_post(3, previous="ab" * 32, body=to_base64url(json.dumps({}).encode()), kind="package")
    post_to(house, first, gap)
    assert line.run("package", "list", "--json") == EXIT_ALARM
    assert {alarm["reason"] for alarm in line.json()["alarms"]} == {"gap"}
    assert line.json()["unreadable"] == [3]


def test_damaged_folder_says_what_to_do_next(line: Terminal) -> None:
    (line.folder / "partner.json").write_bytes(b"{")
    assert line.run("package", "list") == EXIT_FAILED
    assert "Restore it from your backup, or ask the agency to enrol you again." in line.err
