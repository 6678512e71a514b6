"""The code at Send and afterwards: every Send has one, and later additions belong to the first report."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.intake import Accepted, Intake, NewReport, ReferenceTakenError
from gateway.public import returning
from gateway.public.returning import RETURN_DAYS
from partner_sdk.errors import SealingError
from tests.builders import NOW
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_title
from tests.gateway.public.return_builders import THANKS, come_back, read_numbers, send


def test_reference_that_is_given_away_meanwhile_is_drawn_again_with_a_code_of_its_own(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person_at("/14")
    accept, proposed = Intake.accept, []

    def accept_at_the_second_try(intake: Intake, report: NewReport) -> Accepted:
        proposed.append(report.reference)
        if len(proposed) == 1:
            raise ReferenceTakenError("given away")
        return accept(intake, report)

    monkeypatch.setattr(Intake, "accept", accept_at_the_second_try)
    person.send()
    reference, words = read_numbers(person)
    assert reference == proposed[1] != proposed[0]
    assert come_back(public, reference, words).path == "/17"


def test_send_that_never_gets_a_reference_keeps_the_words_on_the_page(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person_at("/14", p9={"story": "Keep these words."})

    def refuse(_intake: Intake, _report: NewReport) -> Accepted:
        raise ReferenceTakenError("given away")

    monkeypatch.setattr(Intake, "accept", refuse)
    person.send()
    assert person.page.status_code == 503
    assert "Keep these words." in person.text()


def test_adding_more_is_a_supplement_that_names_the_first_reference(public: PublicHouse):
    _, reference, words = send(public)
    public.house.clock.advance(days=2)
    person = come_back(public, reference, words)
    person.press("add")
    assert person.path == "/3"
    person.press(danger="no")
    assert person.path == "/9"
    person.press(story="There is more.")
    assert read_title(person.page) == "Add this to what you sent"
    person.send()
    assert (read_title(person.page), reference in person.text()) == (THANKS, True)
    assert "five words" not in person.text()
    first, second = public.reports()
    assert (second.clear.kind, second.clear.earlier_reference) == ("supplement", reference)
    assert second.story == "There is more."
    assert second.reply_key == first.reply_key
    assert first.reply_by is not None
    assert second.reply_by is not None
    assert second.reply_by > first.reply_by
    # The way back is kept for as long again.
    ((_, expires_at, _, _),) = public.house.rows("return_places")
    assert expires_at == int((NOW + timedelta(days=2 + RETURN_DAYS)).timestamp())
    assert come_back(public, reference, words).path == "/17"


def add_more(public: PublicHouse, reference: str, words: str) -> Person:
    """Come back, add a sentence and send it; return the person at the thank-you page."""
    person = come_back(public, reference, words)
    person.press("add")
    person.press(danger="no")
    person.press(story="There is more.")
    person.send()
    assert read_title(person.page) == THANKS
    return person


@pytest.mark.parametrize(
    ("age", "advice"), [("13_15", "If things get worse, call 999."), ("18_plus", "If a child is in danger, call 999.")]
)
def test_thank_you_page_after_adding_more_advises_what_holds_for_who_reads_it(
    public: PublicHouse, age: str, advice: str
):
    _, reference, words = send(public, p4={"age": age})
    person = add_more(public, reference, words)
    until_then = person.text().split("<h2>Until then</h2>")[1].split("</ul>")[0]
    assert until_then.count("<li>") >= 3
    assert advice in until_then


def test_supplement_in_the_same_visit_keeps_the_advice_that_was_given_first(public: PublicHouse):
    person = public.person_at("/9", p7={"kinds": ["threatens_to_share"]})
    story_form = person.fill({"story": "The first words."})
    person.post("/9", story_form)
    person.walk_to("/14").send()
    (draft,) = public.drafts_of(person)
    assert draft.sent is not None
    assert "threatens_to_share" in draft.sent.advice
    story_form["story"] = "The first words. And more."
    person.post("/9", story_form)
    person.send()
    (later,) = public.drafts_of(person)
    assert later.sent is not None
    assert (len(later.sent.report_ids), later.sent.advice) == (2, draft.sent.advice)


@pytest.mark.parametrize(("first", "later", "under_18"), [("13_15", "18_plus", ""), ("18_plus", "13_15", "no")])
def test_age_of_the_first_send_decides_about_an_addition_from_a_page_that_stayed_open(
    public: PublicHouse, first: str, later: str, under_18: str
):
    person = public.person_at("/4")
    older = person.fill({"age": later})
    person.walk_to("/14", p4={"age": first}).send()
    person.post("/4", older)
    person.send()
    assert [report.under_18 for report in public.reports()] == ["no" if first == "18_plus" else "yes", under_18]


def test_danger_comes_first_in_what_is_added_and_decides_how_soon_it_is_read(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.press("add")
    person.press(danger="yes")
    assert person.path == "/3a"
    person.press(called="cannot_call")
    assert person.path == "/9"
    person.press()  # who is in danger need not say more
    assert read_title(person.page) == "Add this to what you sent"
    person.send()
    assert read_title(person.page) == THANKS
    second = public.reports()[1]
    assert (second.clear.kind, second.clear.priority, second.danger) == ("supplement", "P1", "yes")
    assert second.signals == ("danger-cannot_call",)


def test_addition_without_danger_needs_a_few_words(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.press("add")
    person.press()
    assert (person.path, person.text().count("Error")) != ("/9", 0)
    assert read_title(person.page).startswith("Error:")
    person.press(danger="no")
    person.press()
    assert read_title(person.page).startswith("Error:")
    assert len(public.reports()) == 1


def test_back_from_what_is_added_leads_to_the_replies_and_keeps_what_was_typed(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.press("add")
    person.press(danger="not_sure")
    person.press(story="There is more.")
    assert person.path == "/14"
    form = person.fill({}, "back")
    person.post("/14", form)
    assert person.path == "/9"
    person.press("language")
    assert (person.path, "There is more." in person.text()) == ("/9", True)
    person.press("back")
    assert person.path == "/3"
    person.press("back")
    assert person.path == "/17"
    person.press("add")
    person.press()
    assert (person.path, "There is more." in person.text()) == ("/9", True)
    person.press("see:privacy")
    assert person.path == "/1f"
    person.press("return")
    assert person.path == "/9"


@pytest.mark.parametrize("words_field", ["", "not what the page held"])
def test_addition_is_sent_though_the_words_of_the_page_were_lost_on_the_way(public: PublicHouse, words_field: str):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.press("add")
    person.press(danger="no")
    person.press(story="There is more.")
    form = person.fill({}, "send")
    form.setlist("words", [words_field])
    person.post("/14", form)
    assert read_title(person.page) == THANKS
    assert [report.story for report in public.reports()][1:] == ["There is more."]


def test_sends_at_once_all_show_number_and_words(public: PublicHouse):
    people = [public.person_at("/14") for _ in range(8)]
    together = threading.Barrier(len(people))

    def send_with_the_others(person: Person) -> list[str]:
        together.wait(30)
        for _ in range(1 + 3):
            if person.send().page.status_code != 503:  # on a slow disk the page keeps the words, and is sent again
                break
        assert read_title(person.page) == THANKS
        return read_numbers(person)

    with ThreadPoolExecutor(len(people)) as pool:
        shown = list(pool.map(send_with_the_others, people))
    assert [len(numbers) for numbers in shown] == [2] * 8
    assert len({reference for reference, _ in shown}) == len({words for _, words in shown}) == 8
    assert all(report.reply_key for report in public.reports())
    # Each code is its own reference's, not one that another thread drew.
    assert [come_back(public, *one, address=f"203.0.{n}.1").path for n, one in enumerate(shown)] == ["/17"] * 8


def test_no_more_than_two_keys_are_made_at_once_in_a_process_and_all_are_made(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    _, reference, words = send(public)
    derive, at_work, seen, guard = returning.derive_return_keys, 0, [], threading.Lock()
    first_two = threading.Barrier(2)  # passed by two that are at work together, or not at all

    def note(code: str, *, reference: str) -> returning.ReturnKeys:
        nonlocal at_work
        with guard:
            at_work += 1
            seen.append(at_work)
            is_of_the_first = len(seen) <= 2
        if is_of_the_first:
            first_two.wait(30)
        time.sleep(0.02)  # a third one that may come in while these are at work is seen
        keys = derive(code, reference=reference)
        with guard:
            at_work -= 1
        return keys

    monkeypatch.setattr(returning, "derive_return_keys", note)
    people = [public.person_at("/14") for _ in range(6)]
    with ThreadPoolExecutor(12) as pool:
        sends = [pool.submit(person.send) for person in people]
        returns = [pool.submit(come_back, public, reference, words, address=f"203.0.{number}.9") for number in range(6)]
    assert [len(read_numbers(one.result())) for one in sends] == [2] * 6
    assert [one.result().path for one in returns] == ["/17"] * 6
    assert (len(seen), max(seen)) == (12, 2)


def test_key_that_fails_gives_its_turn_back_and_keeps_the_words_on_the_page(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person_at("/14", p9={"story": "Keep these words."})

    def fail(_code: str, *, reference: str) -> bytes:
        raise SealingError(f"no key for {len(reference)} characters", reason="bad-key")

    with monkeypatch.context() as patch:
        patch.setattr(returning, "derive_return_keys", fail)
        for _ in range(3):
            person.send()
            assert (person.page.status_code, "Keep these words." in person.text()) == (503, True)
    person.send()
    assert len(read_numbers(person)) == 2


def test_next_person_cannot_carry_on_to_the_replies(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.press("add")
    form = person.fill({}, "carry_on")
    person.get("/", Sec_Fetch_Site="none")  # the child closed the page
    assert 'value="carry_on"' not in person.text()
    person.post("/", form)
    assert (person.path, reference in person.text()) == ("/", False)
