"""Send: typed words arrive letter for letter, once, or not at all."""

import threading
from collections.abc import Callable
from operator import attrgetter

import msgspec
import pytest
from sqlalchemy import Connection

from gateway.exchange.public_report import ChildDetails, KnownPerson, Meeting, SafeContact
from gateway.intake import Accepted, Intake, NewReport
from gateway.public.journey import FIELD_BY_NAME, TYPED
from gateway.store.reports import NewRow, insert_report
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.sealing import PUBLIC_ENVELOPE_BYTES, PUBLIC_PADDED_BYTES
from tests.builders import House, Partner
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, list_files, read_title
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers

THANKS = "We have got what you sent"
# Each free text of the form, and where it stands in the report.
FREE_TEXTS = {
    "adult": "contact.adult",
    "child_birth": "child.birth",
    "child_name": "child.name",
    "child_place": "child.place",
    "child_school": "child.school",
    "contact_times": "contact.times",
    "who_must_not_know": "contact.who_must_not_know",
    "email": "contact.email",
    "how_met": "person.how_met",
    "meeting_place": "meeting.place",
    "name": "name",
    "organisation": "child.organisation",
    "other_language": "contact.other_language",
    "other_reference": "child.other_reference",
    "person_age": "person.age",
    "person_app": "person.app",
    "person_handle": "person.handle",
    "person_names": "person.names",
    "phone": "contact.phone",
    "relationship": "child.relationship",
    "role": "child.role",
    "safe_word": "contact.safe_word",
    "school": "contact.school",
    "story": "story",
}
CHOICES = {
    "access_needs": "contact.access_needs",
    "already_told": "child.already_told",
    "call_language": "contact.call_language",
    "child_knows": "child.child_knows",
    "contact_ways": "contact.ways",
    "country": "country",
    "danger": "danger",
    "feels": "feels",
    "in_real_life": "person.in_real_life",
    "is_with_you": "child.is_with_you",
    "kinds": "kinds",
    "knows": "person.knows",
    "may_send_note": "contact.may_send_note",
    "meeting_when": "meeting.when",
    "near": "person.near",
    "pictures": "pictures",
    "region": "region",
    "may_say_who_we_are": "contact.may_say_who_we_are",
    "still": "still",
    "their_age": "age_band",
    "there_too": "there_too",
    "told": "told",
    "when": "when",
    "who": "who",
    "who_sees": "contact.who_sees",
}
TYPED_NAMES = sorted(name for name, field in FIELD_BY_NAME.items() if field.kind in TYPED)


def count_reports(house: House) -> int:
    return len(house.rows("reports"))


def read_reference(person: Person) -> str:
    text = person.text()
    start = text.index('class="reference"')
    return text[text.index(">", start) + 1 : text.index("<", start + 20)]


def change_texts(way: ScreenAnswers, make: Callable[[str], str]) -> ScreenAnswers:
    """Return a way with other free texts."""
    return {
        path: {name: make(name) if name in TYPED_NAMES else value for name, value in answers.items()}
        for path, answers in way.items()
    }


def test_every_free_text_is_known_here_and_typed_on_the_long_way():
    typed = {name for answers in LONG_WAY.values() for name in answers if name in TYPED_NAMES}
    assert sorted(typed) == sorted(FREE_TEXTS) == TYPED_NAMES
    asked = {name for name, field in FIELD_BY_NAME.items() if field.kind != "more"}
    # `age` is the band of who types, `called` a signal, `gave_a_time` one of the kinds: each has its own test below.
    assert asked == {*FREE_TEXTS, *CHOICES, "age", "called", "gave_a_time"}


def test_every_field_of_a_part_of_the_report_is_filled_from_a_field_of_its_own():
    parts = {"child": ChildDetails, "contact": SafeContact, "meeting": Meeting, "person": KnownPerson}
    asked = sorted(place for place in (*FREE_TEXTS.values(), *CHOICES.values()) if "." in place)
    assert asked == sorted(f"{part}.{name}" for part, kind in parts.items() for name in kind.__struct_fields__)


def test_every_free_text_arrives_letter_for_letter(public: PublicHouse):
    def mark(name: str) -> str:
        return f' <b>&amp; "{name}" \\ \t é \U0001f642 \u202e\u200b' + ("\r\n\r\n" if name == "story" else "") + " end "

    way = change_texts(LONG_WAY, mark)
    way["/9"] = {**way["/9"], "story": "\r\n" + mark("story")}
    public.person_at("/14", way).send()
    (report,) = public.reports()
    for name, place in FREE_TEXTS.items():
        expected = "\r\n" + mark(name) if name == "story" else mark(name)
        assert attrgetter(place)(report) == expected, name


def test_every_choice_arrives(public: PublicHouse):
    person = public.person().start()
    public.house.clock.advance(minutes=5)
    person.walk_to("/14", LONG_WAY).send()
    (report,) = public.reports()
    picked = {name: value for answers in LONG_WAY.values() for name, value in answers.items()}
    for name, place in CHOICES.items():
        value = picked[name]
        assert attrgetter(place)(report) == (value if isinstance(value, str) else tuple(value)), name
    assert report.reporter_age_band == "16_17"
    assert report.signals == ("danger-called",)


def test_deadline_of_a_threat_arrives_among_the_kinds(public: PublicHouse):
    public.person_at("/14", p7={"kinds": ["threatens_to_share"]}, p7c={"gave_a_time": ["gave_a_time"]}).send()
    (report,) = public.reports()
    assert report.kinds == ("threatens_to_share", "gave_a_time")


def test_no_word_is_in_any_file_or_cookie_of_the_gateway(public: PublicHouse):
    marker = "quietmarkerword"
    person = public.person().start().walk_to("/11", p9={"story": marker})
    person.press(name=marker)
    person.walk_to("/14")
    files = list_files(public.house.state)
    assert len(files) > 4
    assert not [path for path in files if marker.encode() in path.read_bytes()]
    assert person.cookie
    assert marker not in person.cookie
    person.send()
    assert not [path for path in list_files(public.house.state) if marker.encode() in path.read_bytes()]
    assert public.reports()[0].story == marker


def test_one_word_and_five_thousand_emoji_have_one_size(public: PublicHouse):
    for story in ("help", "\U0001f642" * 5000):
        person = public.person_at("/14", p9={"story": story}).send()
        assert read_title(person.page) == THANKS
    with public.gateway.store.read() as connection:
        sizes = [row[0] for row in connection.exec_driver_sql("SELECT length(envelope) FROM reports")]
    assert sizes == [PUBLIC_ENVELOPE_BYTES] * 2
    assert [report.story for report in public.reports()] == ["help", "\U0001f642" * 5000]


def test_all_fields_at_their_most_fit_the_one_size_even_as_control_characters(public: PublicHouse):
    worst = "\x01"  # JSON spells it in six bytes

    def fill(name: str) -> str:
        # A visible letter at the end: what is needed counts as blank when it is nothing but control characters.
        return worst * (FIELD_BY_NAME[name].max_characters - 1) + "n"

    way = change_texts(LONG_WAY, fill)
    for path, answers in way.items():
        for name, value in answers.items():
            if isinstance(value, list):
                way[path] = {**way[path], name: list(FIELD_BY_NAME[name].options)}
    person = public.person_at("/14", way).send()
    assert read_title(person.page) == THANKS
    (report,) = public.reports()
    assert len(report.story) == 5000
    assert len(encode(report)) < PUBLIC_PADDED_BYTES - 4
    # And with every other field of the report at the most that its model takes.
    most_codes = ["x" * 40] * 16
    many = dict.fromkeys(("signals", "kinds", "signposted", "told"), tuple(most_codes))
    one = dict.fromkeys(("placement", "copy_version", "country", "region", "feels", "still", "when"), "x" * 40)
    reply = {"reply_by": "2026-11-27", "reply_key": "x" * 1622}
    fullest = msgspec.structs.replace(report, **many, **one, **reply)
    assert len(encode(fullest)) < PUBLIC_PADDED_BYTES - 4


def test_two_sends_at_the_same_moment_count_once(public: PublicHouse):
    person = public.person_at("/14")
    form = person.fill({}, "send")
    cookie = person.cookie
    others = [public.person() for _ in range(4)]
    barrier = threading.Barrier(len(others))

    def press(other: Person) -> None:
        other.cookie = cookie
        barrier.wait()
        other.post("/14", form)

    threads = [threading.Thread(target=press, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read_title(other.page) for other in others] == [THANKS] * 4
    assert len({read_reference(other) for other in others}) == 1
    assert count_reports(public.house) == 1


def test_other_words_after_send_become_a_linked_supplement(public: PublicHouse):
    person = public.person_at("/9")
    story_form = person.fill({"story": "The first words."})
    person.post("/9", story_form)
    person.walk_to("/14").send()
    reference = read_reference(person)
    story_form["story"] = "The first words. And more."
    person.post("/9", story_form)
    assert read_title(person.page) == "Add this to what you sent"
    person.send()
    assert (read_title(person.page), read_reference(person)) == (THANKS, reference)
    first, second = public.reports()
    assert (first.story, second.story) == ("The first words.", "The first words. And more.")
    assert (second.clear.kind, second.clear.earlier_reference) == ("supplement", reference)
    assert second.clear.report_id != first.clear.report_id
    assert first.reply_key == second.reply_key is not None
    assert len(public.house.rows("return_places")) == 1
    person.post("/9", story_form)
    assert count_reports(public.house) == 2


def test_draft_is_wiped_on_send_and_no_plain_hash_of_words_is_left(public: PublicHouse):
    person = public.person_at("/14").send()
    (draft,) = public.drafts_of(person)
    assert draft.answers == {}
    assert draft.sent is not None
    assert draft.sent.reference == read_reference(person)


@pytest.mark.parametrize("fault", ["no-key", "locked", "missing"])
def test_what_cannot_be_stored_is_never_thanked_and_stays_on_the_page(hurried_public: PublicHouse, fault: str):
    person = hurried_public.person_at("/14", p9={"story": "Keep these words."})
    form = person.fill({}, "send")
    with hurried_public.broken(fault):
        person.post("/14", form)
        assert person.page.status_code == 503
        assert "Retry-After" in person.page.headers
        text = person.text()
        assert THANKS not in text
        assert "Keep these words." in text
        assert "Send again" in text
        assert "tel:999" in text
        assert "tel:08001111" in text
        again = person.fill({}, "send")
    assert count_reports(hurried_public.house) == 0
    person.post("/14", again)
    assert read_title(person.page) == THANKS
    assert hurried_public.reports()[0].story == "Keep these words."


def test_a_fault_in_the_middle_of_storing_leaves_nothing(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person_at("/14", p9={"story": "Keep these words."})
    form = person.fill({}, "send")

    def store_then_fail(connection: Connection, *, row: NewRow) -> None:
        insert_report(connection, row=row)
        raise RuntimeError("the power went")

    monkeypatch.setattr("gateway.intake.insert_report", store_then_fail)
    person.post("/14", form)
    assert person.page.status_code == 500
    assert "Keep these words." in person.text()
    assert count_reports(public.house) == 0
    monkeypatch.undo()
    person.post("/14", form)
    assert read_title(person.page) == THANKS
    assert count_reports(public.house) == 1


def test_priority_is_in_the_clear_and_in_the_seal(public: PublicHouse):
    # Which answers make which: test_journey.py.
    public.person_at("/14", p3={"danger": "yes"}, p3a={"called": "called"}).send()
    assert public.reports()[0].clear.priority == "P1"
    with public.gateway.store.read() as connection:
        assert connection.exec_driver_sql("SELECT priority FROM reports").scalar_one() == "P1"


def test_honeypot_and_haste_are_signals_and_drop_nothing(public: PublicHouse):
    person = public.person_at("/14")
    form = person.fill({"website": "http://spam.example"}, "send")
    person.post("/14", form)
    assert read_title(person.page) == THANKS
    assert set(public.reports()[0].signals) == {"honeypot", "fast"}


def test_link_of_an_enrolled_partner_is_told_and_an_unknown_one_is_dropped(public: PublicHouse):
    for link in ("/?from=example-chat", "/?from=example-chat-profile", "/?from=unknown", "/?from=%3Cscript%3E", "/"):
        public.person().start(link).walk_to("/14").send()
    late = public.person().start("/?from=example-chat").walk_to("/14")
    ended = public.house.agency.register(Partner().entry(), serial=2, placements=())
    public.gateway.key_state.accept_register(ended)
    late.send()
    placements = [report.placement for report in public.reports()]
    assert placements == ["example-chat", "example-chat-profile", None, None, None, None]


def test_half_empty_report_cannot_be_sent_by_jumping_to_the_end(public: PublicHouse):
    person = public.person_at("/11")
    person.post("/14", person.fill({}, "send"))
    assert read_title(person.page) == "Error: What can we call you?"
    assert count_reports(public.house) == 0


def test_tab_that_saves_while_another_sends_loses_nothing(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person_at("/14")
    form = person.fill({}, "send")
    other = public.person()
    other.cookie = person.cookie
    person.press("", change="9")
    other_form = person.fill({"story": "A newer text."})
    accept = Intake.accept

    def accept_after_the_other_tab(intake: Intake, report: NewReport) -> Accepted:
        monkeypatch.setattr(Intake, "accept", accept)
        other.post("/9", other_form)
        return accept(intake, report)

    monkeypatch.setattr(Intake, "accept", accept_after_the_other_tab)
    person.post("/14", form)
    assert read_title(person.page) == "You have this page open twice"
    assert count_reports(public.house) == 0
    person.press("keep_saved")
    person.send()
    assert [report.story for report in public.reports()] == ["A newer text."]
