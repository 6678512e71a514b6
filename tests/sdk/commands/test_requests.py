"""`request`: the agency's questions, their dates, and the answered ones; `inbox --show`."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_FAILED
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._submissions import list_requests
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.mailbox import FIRST_PREVIOUS, InformationRequest, OutcomeNote, encode_body, message_sha256
from partner_sdk.wire.submission import peek_submission
from tests.builders import DAY, EXAMPLE_REPORT, NOW, House
from tests.sdk.mailbox_builders import Post, make_post, post_to
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

REFERENCE = "K7QF-2M9TX-D"
REPORT_ID = make_report_id(NOW, bytes(10))
REQUEST = InformationRequest(
    due_at=format_time(NOW + 7 * DAY),
    legal_basis="Online Safety Act 2023, section 66",
    purpose="To find the child.",
    question="From which IP address did the account log in on 24 November?\nAnd from which port?",
    reference=REFERENCE,
    report_id=REPORT_ID,
    request_id=make_report_id(NOW, b"\1" * 10),
)


def make_request(place: int, **changes: str) -> InformationRequest:
    return msgspec.structs.replace(REQUEST, request_id=make_report_id(NOW, bytes([place]) * 10), **changes)


def post_bodies(house: House, *bodies: bytes, kind: str = "information-request") -> None:
    """Put a chain of messages with these bodies into the gateway's mailbox."""
    posts: list[Post] = []
    for place, body in enumerate(bodies, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        named = json.loads(body).get("request_id")
        posts.append(make_post(place, previous, posted_as=named, body=to_base64url(body), kind=kind))
    post_to(house, *posts)


def make_asked(request: InformationRequest) -> Post:
    """Return the first message of a mailbox: this question."""
    body = to_base64url(encode_body(request))
    return make_post(1, posted_as=request.request_id, body=body, kind="information-request")


@pytest.fixture
def down(line: Terminal) -> Terminal:
    """The same folder, while nothing answers."""
    return Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)


def read_shown(line: Terminal) -> Any:
    """Return the JSON that was shown below its row; each line has the mark of its environment."""
    return json.loads(line.out.replace("[live] ", "").partition("\n")[2])


def write_response(tmp_path: Path, answers: str) -> str:
    file = tmp_path / "answer.json"
    report = {**json.loads(EXAMPLE_REPORT.read_bytes()), "answers_request": answers}
    file.write_text(json.dumps(report), encoding="utf-8")
    return str(file)


def respond(line: Terminal, tmp_path: Path, answers: str) -> int:
    file = write_response(tmp_path, answers)
    return line.run("request", "answer", answers, file, "--priority", "P3", "--json")


def states_of(line: Terminal) -> dict[str, str]:
    assert line.run("request", "list", "--offline", "--json") == 0
    rows = line.json()["requests"]
    assert isinstance(rows, list)
    return {row["request_id"]: row["state"] for row in rows}


def test_nothing_asked_says_so(line: Terminal) -> None:
    assert line.run("request", "list") == 0
    assert "The agency has asked nothing." in line.out


def test_requests_are_listed_the_soonest_due_first_with_what_a_person_needs(line: Terminal, house: House) -> None:
    late = make_request(2, due_at=format_time(NOW - DAY), question="What late thing?")
    post_bodies(house, encode_body(REQUEST), encode_body(late))
    assert line.run("request", "list") == 0
    first, second = line.out.index(late.request_id), line.out.index(REQUEST.request_id)
    assert first < second
    assert f"OVERDUE  NEW  due {late.due_at[:10]}" in line.out
    assert line.out.count("OVERDUE") == 1
    for said in (REFERENCE, "From which IP address", REQUEST.due_at[:10]):
        assert said in line.out
    assert "And from which port?" not in line.out


def test_request_is_shown_whole(line: Terminal, house: House) -> None:
    post_bodies(house, encode_body(REQUEST))
    assert line.run("request", "show", REQUEST.request_id) == 0
    shown = read_shown(line)
    assert (shown["question"], shown["purpose"]) == (REQUEST.question, "To find the child.")
    assert (shown["legal_basis"], shown["due_at"]) == (REQUEST.legal_basis, REQUEST.due_at)


def test_wrong_use_of_show_is_told(line: Terminal) -> None:
    assert line.run("request", "show") == 2
    assert line.run("request", "show", REPORT_ID) == EXIT_FAILED
    assert "no request with this id" in line.err
    assert "`report-abuse-partner request list` fetches and lists them" in line.err


def test_request_is_answered_only_once_the_response_is_delivered(
    line: Terminal, down: Terminal, house: House, tmp_path: Path
) -> None:
    other = make_request(2)
    post_bodies(house, encode_body(REQUEST), encode_body(other))
    assert line.run("request", "list") == 0
    assert states_of(line) == {REQUEST.request_id: "open", other.request_id: "open"}
    assert respond(down, tmp_path, REQUEST.request_id) == 3
    assert states_of(line) == {REQUEST.request_id: "waiting", other.request_id: "open"}
    assert line.run("spool", "flush") == 0
    assert states_of(line) == {REQUEST.request_id: "answered", other.request_id: "open"}
    assert line.run("request", "list", "--offline") == 0
    assert "answered  due" in line.out


def test_answered_request_is_never_overdue(line: Terminal, house: House, tmp_path: Path) -> None:
    late = make_request(3, due_at=format_time(NOW - DAY))
    post_bodies(house, encode_body(late))
    assert line.run("request", "list") == 0
    assert "OVERDUE" in line.out
    assert respond(line, tmp_path, late.request_id) == 0
    assert line.run("request", "list") == 0
    assert "OVERDUE" not in line.out


def test_response_that_was_discarded_answers_nothing(
    line: Terminal, down: Terminal, house: House, tmp_path: Path
) -> None:
    post_bodies(house, encode_body(REQUEST))
    assert line.run("request", "list") == 0
    respond(down, tmp_path, REQUEST.request_id)
    assert line.run("report", "discard", str(down.json()["report_id"])) == 0
    assert states_of(line) == {REQUEST.request_id: "open"}


def collect(line: Terminal, house: House, *requests: InformationRequest) -> None:
    """Have the agency ask, and fetch its questions."""
    post_bodies(house, *(encode_body(one) for one in requests))
    assert line.run("inbox") == 0


def test_folder_keeps_the_id_of_a_request_and_never_free_words(line: Terminal, house: House, tmp_path: Path) -> None:
    collect(line, house, REQUEST)
    assert respond(line, tmp_path, REQUEST.request_id) == 0
    (note,) = (line.folder / "answers").iterdir()
    assert note.read_bytes() == encode({"request_id": REQUEST.request_id})
    other = make_request(2)
    words = {**json.loads(EXAMPLE_REPORT.read_bytes()), "answers_request": "the zebra question about Sam"}
    file = tmp_path / "words.json"
    file.write_text(json.dumps(words), encoding="utf-8")
    assert line.run("request", "answer", other.request_id, str(file), "--priority", "P3") == EXIT_FAILED
    assert "zebra" not in line.out + line.err
    assert list((line.folder / "answers").iterdir()) == [note]
    kept = [path for path in line.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if b"zebra" in path.read_bytes()] == []


@pytest.mark.parametrize("kind", ["initial", "supplement"])
def test_answer_of_another_kind_is_refused_before_it_makes_a_case_of_its_own(
    line: Terminal, house: House, tmp_path: Path, kind: str
) -> None:
    collect(line, house, REQUEST)
    file = write_response(tmp_path, REQUEST.request_id)
    words = ("--priority", "P3", "--kind", kind, "--earlier-reference", REFERENCE)
    assert line.run("report", "submit", file, *words) == EXIT_FAILED
    assert "#/answers_request: answers_request goes with --kind response" in line.err
    assert states_of(line) == {REQUEST.request_id: "open"}
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_answer_goes_to_the_report_of_the_question_when_none_is_named(
    line: Terminal, house: House, tmp_path: Path
) -> None:
    collect(line, house, make_request(2, reference="0W3G-E1R70-Z"), REQUEST)
    file = write_response(tmp_path, REQUEST.request_id)
    assert line.run("report", "preview", file, "--priority", "P3", "--kind", "response") == 0
    assert line.run("request", "answer", REQUEST.request_id, file, "--priority", "P3", "--json") == 0
    saved = PartnerState.open(line.folder).find_submission(str(line.json()["report_id"]))
    assert saved is not None
    assert peek_submission(saved[1].statement).earlier_reference == REFERENCE


def test_answer_to_a_question_that_was_never_fetched_is_not_sealed(line: Terminal, tmp_path: Path) -> None:
    assert respond(line, tmp_path, REQUEST.request_id) == EXIT_FAILED
    assert line.json()["reason"] == "no-such-message"
    assert "`report-abuse-partner request list` fetches and lists them" in line.err
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_answer_names_the_question_although_the_file_does_not(line: Terminal, house: House, tmp_path: Path) -> None:
    collect(line, house, REQUEST)
    words = (str(EXAMPLE_REPORT), "--priority", "P3", "--json")
    assert line.run("report", "preview", "--answers", REQUEST.request_id, *words) == 0
    assert line.run("request", "answer", REQUEST.request_id, *words) == 0
    assert line.json()["kind"] == "response"
    assert states_of(line) == {REQUEST.request_id: "answered"}


@pytest.mark.parametrize(
    "words",
    [
        ("report", "submit", str(EXAMPLE_REPORT), "--kind", "response", "--priority", "P3"),
        ("request", "answer", REQUEST.request_id),
        ("request", "answer", REQUEST.request_id, "--text", "Yes."),
        ("request", "answer", REQUEST.request_id, "--text", "Yes.", "--text-file", "-", "--by", "Anna"),
        ("request", "answer", REQUEST.request_id, "--text", "Yes.", "--by", "Anna", "--priority", "P3"),
        ("request", "answer", REQUEST.request_id, str(EXAMPLE_REPORT)),
        ("request", "answer", REQUEST.request_id, str(EXAMPLE_REPORT), "--text", "Yes.", "--by", "Anna"),
        ("request", "answer", REQUEST.request_id, str(EXAMPLE_REPORT), "--priority", "P3", "--by", "Anna"),
    ],
)
def test_answer_in_no_way_or_in_two_is_wrong_usage(line: Terminal, house: House, words: tuple[str, ...]) -> None:
    collect(line, house, REQUEST)
    assert line.run(*words) == 2
    assert states_of(line) == {REQUEST.request_id: "open"}


@pytest.mark.parametrize("evidence", [(), ("--evidence", "file-1=/dev/null")])
def test_question_that_is_answered_or_whose_answer_waits_is_not_answered_again(
    line: Terminal, down: Terminal, house: House, tmp_path: Path, evidence: tuple[str, ...]
) -> None:
    other = make_request(2)
    collect(line, house, REQUEST, other)
    words = ("request", "answer", REQUEST.request_id, str(EXAMPLE_REPORT), "--priority", "P3")
    assert down.run(*words) == 3
    (waiting,) = PartnerState.open(line.folder).list_undelivered()
    assert line.run(*words, *evidence) == EXIT_FAILED
    assert "(not-open)" in line.err
    assert f"#/answers_request: An answer waits in the spool ({waiting})" in line.err
    assert f"Open now: {other.request_id} (about {REFERENCE}, due {other.due_at[:10]})." in line.err
    assert line.run("spool", "flush") == 0
    assert line.run(*words, *evidence) == EXIT_FAILED
    assert f"#/answers_request: Your report {waiting} answers it. Send more as a supplement to {REFERENCE}" in line.err
    assert PartnerState.open(line.folder).list_undelivered() == []


def test_refusal_names_the_open_questions(line: Terminal, house: House) -> None:
    asked = [make_request(place) for place in range(1, 8)]
    answered = make_request(8)
    collect(line, house, *asked, answered)
    words = ("request", "answer", answered.request_id, str(EXAMPLE_REPORT), "--priority", "P3")
    assert line.run(*words) == 0
    assert line.run(*words) == EXIT_FAILED
    assert [one.request_id in line.err for one in asked] == [True] * 5 + [False] * 2
    assert "and 2 more." in line.err


def test_saved_requests_are_shown_while_the_gateway_is_down(line: Terminal, down: Terminal, house: House) -> None:
    post_bodies(house, encode_body(REQUEST))
    assert line.run("request", "list") == 0
    assert down.run("request", "list") == 0
    assert "Only messages fetched earlier" in down.err
    assert REQUEST.request_id in down.out


def test_request_that_cannot_be_read_is_an_alarm_and_hides_no_other(line: Terminal, house: House) -> None:
    post_bodies(house, b'{"question":"x"}', encode_body(REQUEST))
    assert line.run("request", "list") == EXIT_ALARM
    assert "Message 1 cannot be read" in line.err
    assert REQUEST.request_id in line.out


def test_request_under_another_id_than_its_message_is_an_alarm(line: Terminal, house: House) -> None:
    post_to(house, make_post(1, body=to_base64url(encode_body(REQUEST)), kind="information-request"))
    assert line.run("request", "list", "--json") == EXIT_ALARM
    assert (line.json()["requests"], line.json()["unreadable"]) == ([], [1])


def test_damaged_note_leaves_the_request_open(line: Terminal, house: House, tmp_path: Path) -> None:
    collect(line, house, REQUEST)
    assert respond(line, tmp_path, REQUEST.request_id) == 0
    (note,) = (line.folder / "answers").iterdir()
    note.write_bytes(b"{")
    assert states_of(line) == {REQUEST.request_id: "open"}
    assert list_requests(PartnerState.open(line.folder), messages=()).questions == ()


def test_question_from_the_agency_cannot_steer_the_terminal(line: Terminal, house: House) -> None:
    post_bodies(house, encode_body(make_request(4, question="red \x1b[31m words")))
    assert line.run("request", "list") == 0
    assert "\x1b" not in line.out


def test_inbox_shows_the_body_of_every_kind(line: Terminal, house: House) -> None:
    note = OutcomeNote(outcome="used", reference=REFERENCE, released_at=format_time(NOW), report_id=REPORT_ID)
    first = make_asked(REQUEST)
    second = make_post(2, message_sha256(first.signed), body=to_base64url(encode_body(note)), kind="outcome")
    third = make_post(3, message_sha256(second.signed))
    post_to(house, first, second, third)
    assert line.run("inbox") == 0
    assert line.run("inbox", "--show", "1") == 0
    assert read_shown(line) == json.loads(encode_body(REQUEST))
    assert line.run("inbox", "--show", "2") == 0
    assert read_shown(line) == json.loads(encode_body(note))
    assert line.run("inbox", "--show", "3") == 0
    assert '"text": "hello"' in line.out
    assert line.run("inbox", "--show", "2", "--json") == 0
    assert line.json()["body"] == json.loads(encode_body(note))


def test_help_has_an_example_and_the_exit_codes(line: Terminal) -> None:
    assert line.run("request", "list", "--help") == 0
    said = line.out
    assert "Example:" in said
    assert "Exit codes:" in said
