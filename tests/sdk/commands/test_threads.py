"""`thread` and `report submit --answers`: a machine reads, answers and asks; nothing is lost without a network."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.exchange.feed import THREAD_ENTRY
from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._submissions import list_requests
from partner_sdk.client.threads import Line, Thread, check_not_said
from partner_sdk.errors import MailboxError
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.mailbox import InformationRequest, TermsReferral, encode_body
from partner_sdk.wire.submission import SIGNED_SUBMISSION
from tests.builders import EXAMPLE_REPORT, House
from tests.builders import Partner as Enrolled
from tests.sdk.client.test_threads import ALERT, BY, IDS, KINDS, PACKAGE, PRESERVE, post_all, read_at_desk, tell
from tests.sdk.mailbox_builders import (
    REFERENCE,
    REFERRAL,
    REPORT_ID,
    REQUEST,
    make_post,
    make_request,
    post_bodies,
    post_to,
)
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

REPORT = str(EXAMPLE_REPORT)
AT = "2026-11-25T08:30:00Z"


@pytest.fixture(autouse=True)
def _knows_referrals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, TermsReferral, "terms-referral")


@pytest.fixture
def down(line: Terminal) -> Terminal:
    """The same folder, while nothing answers."""
    return Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)


def write(line: Terminal, kind: str, *options: str, about: str = "1", **fields: Any) -> int:
    """Run `thread write` with an entry of this kind."""
    file = line.folder.parent / "entry.json"
    file.write_text(json.dumps({"kind": kind, "by": BY, **fields}), encoding="utf-8")
    return line.run("thread", "write", about, str(file), *options)


def list_rows(line: Terminal, *options: str) -> Any:
    assert line.run("thread", "list", *options) == EXIT_DONE
    return line.json()["threads"]


def collect(line: Terminal, house: House, *requests: InformationRequest) -> None:
    """Have the agency ask, and fetch its questions."""
    post_bodies(house, *(encode_body(one) for one in requests))
    assert line.run("inbox") == EXIT_DONE


def states_of(line: Terminal) -> dict[str, str]:
    """Return the state of each question by its id."""
    rows = list_rows(line, "--offline", "--kind", "information-request")
    return {row["request_id"]: row["state"] for row in rows}


def answer(line: Terminal, answers: str = REQUEST.request_id, *more: str, file: str = REPORT) -> int:
    """Answer a question with a report."""
    return line.run("report", "submit", file, "--priority", "P3", "--answers", answers, *more)


def count_sent(house: House) -> int:
    return len(house.items(THREAD_ENTRY))


def test_package_goes_from_the_list_to_its_outcome(line: Terminal, house: House, partner: Enrolled) -> None:
    post_all(house, PACKAGE, tell("question", text="Which area?\nAnd since when?"))
    (row,) = list_rows(line)
    assert (row["title"], row["urgent"], row["state"], row["message_number"]) == ("A title", True, "open", 1)
    assert "archive" not in row
    assert row["archive_sha256"] == PACKAGE.archive_sha256
    (entry,) = row["thread"]
    assert (entry["from"], entry["kind"], entry["text"]) == ("agency", "question", "Which area?\nAnd since when?")
    assert write(line, "acknowledge", about=IDS[1]) == EXIT_DONE
    assert write(line, "question", text="Which school?") == EXIT_DONE
    assert write(line, "answer", text="Our area.") == EXIT_DONE
    assert write(line, "outcome", outcome="safeguarded") == EXIT_DONE
    told = line.json()
    assert (told["sent"], told["entry"]["outcome"], told["entry"]["by"]) == (True, "safeguarded", BY)
    kinds = ["acknowledge", "question", "answer", "outcome"]
    assert [one.kind for one in read_at_desk(house, partner)] == kinds
    assert line.run("thread", "show", IDS[1]) == EXIT_DONE
    shown = line.json()["thread"]
    assert shown["state"] == "outcome"
    # The clock stands still, so the own entries have no order among themselves; their words are not kept.
    own = {(one["kind"], one["outcome"], one["text"]) for one in shown["thread"] if one["from"] == "partner"}
    assert own == {(kind, "safeguarded" if kind == "outcome" else None, None) for kind in kinds}


def test_words_without_a_network_are_saved_and_the_flush_sends_them(
    line: Terminal, down: Terminal, house: House, partner: Enrolled
) -> None:
    post_all(house, PACKAGE)
    assert line.run("inbox") == EXIT_DONE
    assert write(down, "acknowledge") == EXIT_NOT_DELIVERED
    assert "NOT SENT. It is sealed and saved: `report-abuse-partner spool flush` sends it." in down.err.splitlines()[-2]
    assert down.json()["sent"] is False
    assert [row["state"] for row in list_rows(line, "--offline")] == ["waiting"]
    assert line.run("spool", "status") == EXIT_NOT_DELIVERED
    (waiting,) = line.json()["words"]
    assert (waiting["kind"], waiting["by"], waiting["about"]) == ("acknowledge", BY, IDS[1])
    assert line.run("doctor") == EXIT_DONE
    assert "1 of your words to the agency not sent" in line.out
    assert down.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert house.items(THREAD_ENTRY) == []
    assert line.run("spool", "flush") == EXIT_DONE
    assert [one["about"] for one in line.json()["words_sent"]] == [IDS[1]]
    assert [one.kind for one in read_at_desk(house, partner)] == ["acknowledge"]
    assert line.run("spool", "status") == EXIT_DONE


def test_request_to_keep_data_is_confirmed_or_declined(line: Terminal, house: House, partner: Enrolled) -> None:
    post_all(house, PRESERVE, REFERRAL, ALERT)
    preserve, referral, alert = list_rows(line)
    assert (preserve["due_at"], preserve["accounts"][0]["value"]) == (PRESERVE.due_at, "mild_example")
    assert referral["rule"] == "Minimum age"
    assert alert["audience"] == "Services with streams"
    assert write(line, "answer", text="Kept until then.") == EXIT_DONE
    assert write(line, "decline", about="2", text="No such account.") == EXIT_DONE
    assert write(line, "note", about="3", text="Seen twice.") == EXIT_DONE
    assert [(one.kind, one.text) for one in read_at_desk(house, partner)] == [
        ("answer", "Kept until then."),
        ("decline", "No such account."),
        ("note", "Seen twice."),
    ]
    assert [row["state"] for row in list_rows(line, "--offline")] == ["answered", "declined", "open"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff\xfe", "not an entry"),
        (b"{}", "not an entry"),
        (b'{"kind": "praise", "by": "Anna"}', "not an entry"),
        (b'{"kind": "question", "by": "Anna"}', "(malformed)"),
        (b'{"kind": "outcome", "by": "Anna", "outcome": "solved"}', "(malformed)"),
        (b'{"kind": "acknowledge", "by": " "}', "(malformed)"),
        (json.dumps({"kind": "question", "by": "x" * 201, "text": "Which?"}).encode(), "up to 200 characters"),
        (json.dumps({"kind": "question", "by": "A", "text": "x" * 20_001}).encode(), "up to 20,000 characters"),
        (None, "(no-such-file)"),
    ],
)
def test_wrong_words_send_nothing(line: Terminal, house: House, tmp_path: Path, raw: bytes | None, said: str) -> None:
    post_all(house, PACKAGE)
    file = tmp_path / "words.json"
    if raw is not None:
        file.write_bytes(raw)
    assert line.run("thread", "write", "1", str(file)) == EXIT_FAILED
    assert said in line.err
    assert house.items(THREAD_ENTRY) == []
    assert list((line.folder / "entries").glob("*")) == []


def test_message_that_is_not_here_is_named_with_what_fetches_it(line: Terminal, house: House) -> None:
    assert line.run("thread", "show") == 2
    for code in (line.run("thread", "show", REPORT_ID), write(line, "acknowledge", about=IDS[5])):
        assert code == EXIT_FAILED
        assert "no message with this id here: `thread list` fetches them" in line.err


@pytest.mark.parametrize(
    ("first", "second", "done"),
    [
        ("answer", "decline", "answered this"),
        ("decline", "answer", "declined this"),
        ("answer", "answer", "answered this"),
        ("decline", "decline", "declined this"),
    ],
)
def test_request_takes_one_word_unless_it_is_sent_again_on_purpose(
    line: Terminal, house: House, first: str, second: str, done: str
) -> None:
    post_all(house, PRESERVE)
    assert write(line, first, text="Mild words.") == EXIT_DONE
    assert write(line, second, text="Mild words.") == EXIT_FAILED
    assert f"{BY} {done} at {AT}: nothing was sent now. To send this as well, add --again." in line.err
    assert count_sent(house) == 1
    assert write(line, second, "--again", text="Mild words.") == EXIT_DONE
    assert count_sent(house) == 2


@pytest.mark.parametrize("asked", ["question", "reminder"])
def test_question_of_the_agency_opens_a_request_again(asked: str) -> None:
    own = Line(at=AT, is_own=True, kind="answer", by=BY, entry_id=IDS[2], text=None, sent_at=AT)
    later = Line(at="2026-11-25T08:31:00Z", is_own=False, kind=asked, by="Duty officer", entry_id=IDS[3], text="All?")
    thread = Thread("preservation-request", IDS[1], 1, AT, PRESERVE, "answered", (own,), ())
    with pytest.raises(MailboxError):
        check_not_said(thread, kind="decline")
    check_not_said(replace(thread, lines=(own, later)), kind="decline")


def test_words_after_a_report_that_answers_are_refused() -> None:
    thread = Thread("preservation-request", IDS[1], 1, AT, PRESERVE, "answered", (), (IDS[4],))
    with pytest.raises(MailboxError, match=f"Your report {IDS[4]} answers this"):
        check_not_said(thread, kind="decline")


def test_package_has_each_outcome_once_and_is_not_declined_after_it(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert write(line, "outcome", outcome="located") == EXIT_DONE
    assert write(line, "outcome", outcome="located") == EXIT_FAILED
    assert f"{BY} told this outcome at {AT}" in line.err
    assert write(line, "outcome", outcome="safeguarded") == EXIT_DONE
    assert write(line, "decline", text="Not ours.") == EXIT_FAILED
    assert count_sent(house) == 2


def test_package_that_was_declined_is_not_taken_on_by_mistake(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert write(line, "decline", text="Not ours.") == EXIT_DONE
    for kind, fields in (("acknowledge", {}), ("outcome", {"outcome": "located"}), ("decline", {"text": "No."})):
        assert write(line, kind, **fields) == EXIT_FAILED
        assert f"{BY} declined this at {AT}" in line.err
    assert write(line, "acknowledge", "--again") == EXIT_DONE
    assert count_sent(house) == 2


def test_answer_about_a_package_is_sent_once_for_each_question(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert write(line, "answer", text="Our area.") == EXIT_FAILED
    assert "The agency has asked nothing about this package" in line.err
    assert count_sent(house) == 0


def test_question_back_leaves_the_agencys_own_open(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE, tell("question", text="Which area?"))
    assert write(line, "question", text="Which school?") == EXIT_DONE
    assert write(line, "answer", text="Our area.") == EXIT_DONE
    assert write(line, "answer", text="Our area.") == EXIT_FAILED
    assert f"{BY} answered this at {AT}" in line.err
    assert count_sent(house) == 2


def test_alarm_and_unreadable_messages_end_the_list_with_their_code(line: Terminal, house: House) -> None:
    first = make_post(1)
    gap = make_post(3, previous="ab" * 32, body=to_base64url(json.dumps({}).encode()), kind="package")
    post_to(house, first, gap)
    assert line.run("thread", "list") == EXIT_ALARM
    assert {alarm["reason"] for alarm in line.json()["alarms"]} == {"gap"}
    assert line.json()["unreadable"] == [3]


def test_damaged_folder_says_what_to_do_next(line: Terminal) -> None:
    (line.folder / "partner.json").write_bytes(b"{")
    assert line.run("thread", "list") == EXIT_FAILED
    assert "Restore it from your backup, or ask the agency to enrol you again." in line.err


def test_question_is_answered_only_once_the_response_is_delivered(line: Terminal, down: Terminal, house: House) -> None:
    other = make_request(2)
    collect(line, house, REQUEST, other)
    assert states_of(line) == {REQUEST.request_id: "open", other.request_id: "open"}
    assert answer(down) == EXIT_NOT_DELIVERED
    (waiting,) = PartnerState.open(line.folder).list_undelivered()
    assert states_of(line) == {REQUEST.request_id: "waiting", other.request_id: "open"}
    assert answer(line) == EXIT_FAILED
    assert "(not-open)" in line.err
    assert f"#/answers_request: An answer waits in the spool ({waiting})" in line.err
    assert f"Open now: {other.request_id} (about {REFERENCE}, due {other.due_at[:10]})." in line.err
    assert line.run("spool", "flush") == EXIT_DONE
    assert states_of(line) == {REQUEST.request_id: "answered", other.request_id: "open"}
    for more in ((), ("--evidence", "file-1=/dev/null")):
        assert answer(line, REQUEST.request_id, *more) == EXIT_FAILED
        assert f"Your report {waiting} answers it. Send more as a supplement to {REFERENCE}" in line.err
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_answer_goes_to_the_report_of_the_question_when_none_is_named(line: Terminal, house: House) -> None:
    collect(line, house, make_request(2, reference="0W3G-E1R70-Z"), REQUEST)
    assert line.run("report", "preview", "--answers", REQUEST.request_id, REPORT, "--priority", "P3") == EXIT_DONE
    assert answer(line) == EXIT_DONE
    assert line.json()["kind"] == "response"
    saved = PartnerState.open(line.folder).find_submission(str(line.json()["report_id"]))
    assert saved is not None
    assert SIGNED_SUBMISSION.peek(saved[1].statement).earlier_reference == REFERENCE


def test_folder_keeps_the_id_of_a_question_and_never_free_words(line: Terminal, house: House, tmp_path: Path) -> None:
    collect(line, house, REQUEST, make_request(2))
    assert answer(line) == EXIT_DONE
    (note,) = (line.folder / "answers").iterdir()
    assert note.read_bytes() == encode({"request_id": REQUEST.request_id})
    words = {**json.loads(EXAMPLE_REPORT.read_bytes()), "answers_request": "the zebra question about Sam"}
    file = tmp_path / "words.json"
    file.write_text(json.dumps(words), encoding="utf-8")
    assert line.run("report", "submit", str(file), "--priority", "P3", "--kind", "response") == EXIT_FAILED
    assert "zebra" not in line.out + line.err
    assert list((line.folder / "answers").iterdir()) == [note]
    kept = [path for path in line.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if b"zebra" in path.read_bytes()] == []
    note.write_bytes(b"{")  # a damaged note leaves the question open
    assert states_of(line)[REQUEST.request_id] == "open"
    assert list_requests(PartnerState.open(line.folder), messages=()).questions == ()


@pytest.mark.parametrize("kind", ["initial", "supplement"])
def test_answer_of_another_kind_is_refused_before_it_makes_a_case_of_its_own(
    line: Terminal, house: House, tmp_path: Path, kind: str
) -> None:
    collect(line, house, REQUEST)
    file = tmp_path / "answer.json"
    report = {**json.loads(EXAMPLE_REPORT.read_bytes()), "answers_request": REQUEST.request_id}
    file.write_text(json.dumps(report), encoding="utf-8")
    words = ("--priority", "P3", "--kind", kind, "--earlier-reference", REFERENCE)
    assert line.run("report", "submit", str(file), *words) == EXIT_FAILED
    assert "#/answers_request: answers_request goes with --kind response" in line.err
    assert answer(line, REQUEST.request_id, "--kind", kind) == 2
    assert states_of(line) == {REQUEST.request_id: "open"}
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_answer_to_a_question_that_was_never_fetched_is_not_sealed(line: Terminal) -> None:
    assert answer(line) == EXIT_FAILED
    assert line.json()["reason"] == "unknown-request"
    assert "`thread list` fetches them" in line.err
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_saved_threads_are_shown_while_the_gateway_is_down(line: Terminal, down: Terminal, house: House) -> None:
    collect(line, house, REQUEST)
    assert [row["request_id"] for row in list_rows(down)] == [REQUEST.request_id]
    assert "Only messages fetched earlier" in down.err


def test_question_under_another_id_than_its_message_is_an_alarm(line: Terminal, house: House) -> None:
    post_to(house, make_post(1, body=to_base64url(encode_body(REQUEST)), kind="information-request"))
    assert line.run("thread", "list") == EXIT_ALARM
    assert (line.json()["threads"], line.json()["unreadable"]) == ([], [1])


def test_inbox_shows_the_body_of_a_message(line: Terminal, house: House) -> None:
    collect(line, house, REQUEST)
    assert line.run("inbox", "--show", "1") == EXIT_DONE
    assert line.json()["body"] == json.loads(encode_body(REQUEST))
    assert line.run("inbox", "--show", "5") == EXIT_FAILED
