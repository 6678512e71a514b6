"""A word to the agency cannot be taken back: one that repeats or contradicts an earlier one is sent only on purpose."""

from dataclasses import replace

import pytest

from gateway.exchange.feed import THREAD_ENTRY
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED
from partner_sdk.client.threads import Line, Thread, check_not_said
from partner_sdk.errors import MailboxError
from partner_sdk.wire.mailbox import PACKAGE_OUTCOMES
from tests.builders import House
from tests.sdk.client.test_threads import ALERT, BY, IDS, PACKAGE, PRESERVE, post_all, tell
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

WORDS = ("--by", BY, "--text", "Mild words.")
AT = "2026-11-25T08:30:00Z"


def count_sent(house: House) -> int:
    return len(house.items(THREAD_ENTRY))


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
    assert line.run("request", first, "1", *WORDS) == EXIT_DONE
    assert line.run("request", second, "1", *WORDS) == EXIT_FAILED
    assert f"{BY} {done} at {AT}: nothing was sent now. To send this as well, add --again." in line.err
    assert count_sent(house) == 1
    assert line.run("request", second, "1", *WORDS, "--again") == EXIT_DONE
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


def test_word_that_still_waits_is_not_written_twice(line: Terminal, house: House) -> None:
    post_all(house, PRESERVE)
    assert line.run("inbox") == EXIT_DONE
    away = Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)
    assert away.run("request", "answer", "1", *WORDS) == EXIT_NOT_DELIVERED
    assert away.run("request", "answer", "1", *WORDS) == EXIT_FAILED
    assert "it waits, and `report-abuse-partner spool flush` sends it" in away.err
    assert len(list((line.folder / "entries").glob("*"))) == 1


def test_package_has_each_outcome_once_and_a_further_one_names_the_earlier(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert line.run("package", "outcome", "1", "located", "--by", BY) == EXIT_DONE
    assert line.run("package", "outcome", "1", "located", "--by", BY) == EXIT_FAILED
    assert f"{BY} told this outcome at {AT}" in line.err
    assert line.run("package", "outcome", "1", "safeguarded", "--by", BY) == EXIT_DONE
    assert f"{BY} told an outcome at {AT}: The child is located. Sent as well." in line.err
    assert line.run("package", "decline", "1", *WORDS) == EXIT_FAILED
    assert count_sent(house) == 2


def test_package_that_was_declined_is_not_taken_on_by_mistake(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert line.run("package", "decline", "1", *WORDS) == EXIT_DONE
    for words in (("acknowledge", "1", "--by", BY), ("outcome", "1", "located", "--by", BY), ("decline", "1", *WORDS)):
        assert line.run("package", *words) == EXIT_FAILED
        assert f"{BY} declined this at {AT}" in line.err
    assert line.run("package", "acknowledge", "1", "--by", BY, "--again") == EXIT_DONE
    assert count_sent(house) == 2


def test_answer_about_a_package_needs_a_question(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE)
    assert line.run("package", "answer", "1", *WORDS) == EXIT_FAILED
    assert "The agency has asked nothing about this package; use `report-abuse-partner package ask`." in line.err
    assert count_sent(house) == 0


def test_answer_about_a_package_is_sent_once_for_each_question(line: Terminal, house: House) -> None:
    post_all(house, PACKAGE, tell("question", text="Which area?"))
    assert line.run("package", "ask", "1", *WORDS) == EXIT_DONE  # a question back leaves the agency's own open
    assert line.run("package", "answer", "1", *WORDS) == EXIT_DONE
    assert line.run("package", "answer", "1", *WORDS) == EXIT_FAILED
    assert f"{BY} answered this at {AT}" in line.err
    assert count_sent(house) == 2


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        (("package", "ask"), "question"),
        (("package", "answer"), "answer"),
        (("package", "decline"), "reason"),
        (("request", "decline"), "reason"),
        (("alert", "post"), "findings"),
    ],
)
def test_missing_words_and_a_missing_name_are_asked_for(
    line: Terminal, house: House, words: tuple[str, ...], noun: str
) -> None:
    post_all(house, PACKAGE, PRESERVE, ALERT)
    assert line.run(*words, "1", "--by", BY) == 2
    assert f'Write the {noun}: --text "..." or --text-file FILE.' in line.err
    for name in ((), ("--by", ""), ("--by", " ")):
        assert line.run(*words, "1", "--text", "Yes.", *name) == 2
        assert 'Give your name, as the agency will read it: --by "Sergeant Anna Example".' in line.err
    assert count_sent(house) == 0


def test_answer_to_a_request_in_words_asks_for_the_name(line: Terminal, house: House) -> None:
    post_all(house, PRESERVE)
    for name in ((), ("--by", "")):
        assert line.run("request", "answer", "1", "--text", "Yes.", *name) == 2
        assert 'Give your name, as the agency will read it: --by "Sergeant Anna Example".' in line.err


@pytest.mark.parametrize(("words", "said"), [((), "The outcome is missing"), (("solved",), "no outcome 'solved'")])
def test_outcome_that_is_none_shows_each_code_with_its_meaning(
    line: Terminal, house: House, words: tuple[str, ...], said: str
) -> None:
    post_all(house, PACKAGE)
    assert line.run("package", "outcome", "1", *words, "--by", BY) == 2
    assert said in line.err
    for code, meaning in PACKAGE_OUTCOMES.items():
        assert any(row.endswith(meaning) and f" {code} " in row for row in line.err.splitlines())
    assert count_sent(house) == 0
