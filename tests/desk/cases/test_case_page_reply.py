"""Writing a reply on the page: begun from a template, looked at, sent once; nothing that was typed is ever lost."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import get_case
from gateway.desk.cases.reply_templates import list_templates, load_texts
from gateway.desk.cases.work_pages import make_draft, make_mark
from gateway.desk.office.views.page import Typed
from gateway.desk.office.wiring import Desk
from gateway.desk.store.agency_tables import REPLY_MESSAGES
from gateway.exchange.public_report import MAX_BODY_CHARACTERS
from gateway.guidance.advice import KINDS
from gateway.guidance.signposts import load_signposts
from partner_sdk.wire.button import LANGUAGES, Language
from tests.desk.view_builders import Browser, Clock, add_sealed_case, has_fault_read_with, make_code_key, make_code_seed
from tests.desk.work_builders import make_talk_form
from tests.public_report_builders import make_contact, make_known_person, make_public_report

MARKER = "MARKER-<i>&\"'é\N{SNOWMAN}"
KEY = make_code_key(make_code_seed("lamp"))
NOT_THE_REPLY = {"counts": "no", "counts_reason": ""}


@pytest.fixture
def case_id(desk: Desk, browser: Browser) -> str:
    case_id = add_sealed_case(
        desk, marker="", under_18="yes", report={"reply_key": KEY, "reply_by": "2026-11-27", "kinds": ("extra_nice",)}
    )
    browser.get(f"/cases/{case_id}")
    browser.post(f"/cases/{case_id}/read")
    return case_id


def post(browser: Browser, case_id: str, step: str, **fields: Any) -> Any:
    return browser.post(f"/cases/{case_id}/reply/{step}", **fields)


def get_typed(page: str) -> str:
    found = re.search(r'<textarea id="reply_text"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def get_hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(mark|message_id)" value="([^"]+)">', page))


def count_replies(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(connection.execute(select(REPLY_MESSAGES).where(REPLY_MESSAGES.c.kind == "reply")).all())


def test_reply_is_looked_at_before_it_is_sent(desk: Desk, browser: Browser, case_id: str) -> None:
    text = f"Hello, we read it.\n{MARKER}"
    seen = post(browser, case_id, "preview", reply_text=text, **NOT_THE_REPLY)
    assert seen.status_code == 200
    assert count_replies(desk) == 0
    shown = re.search(r'id="preview".*?<p class="reply-words" dir="auto">(.*?)</p>', seen.text, re.DOTALL)
    assert shown is not None
    assert html.unescape(shown[1]) == text
    assert MARKER not in seen.text  # escaped: no word becomes markup
    sent = post(browser, case_id, "send", reply_text=text, **NOT_THE_REPLY, **get_hidden(seen.text))
    assert sent.status_code == 303
    assert count_replies(desk) == 1
    after = browser.get(f"/cases/{case_id}").text
    assert MARKER not in html.unescape(after)
    assert "leaves with the next collection" in after
    assert MARKER in html.unescape(browser.post(f"/cases/{case_id}/read").text)


def test_second_press_of_send_writes_nothing_more(desk: Desk, browser: Browser, case_id: str) -> None:
    hidden = get_hidden(post(browser, case_id, "preview", reply_text="Hello, we have read it.", **NOT_THE_REPLY).text)
    for _ in range(2):
        assert (
            post(browser, case_id, "send", reply_text="Hello, we have read it.", **NOT_THE_REPLY, **hidden).status_code
            == 303
        )
    assert count_replies(desk) == 1


@pytest.mark.parametrize("changed", [{"reply_text": "Hello, we have read it. More."}, {"counts": "yes"}, {"mark": ""}])
def test_reply_without_a_preview_is_not_sent(
    desk: Desk, browser: Browser, case_id: str, changed: dict[str, str]
) -> None:
    fields = {"reply_text": "Hello, we have read it.", "counts": "no", "counts_reason": "phone is shared"}
    hidden = get_hidden(post(browser, case_id, "preview", **fields).text)
    refused = post(browser, case_id, "send", **{**fields, **hidden, **changed})
    assert refused.status_code == 409
    assert "Check it again, then send it" in refused.text
    assert get_typed(refused.text) == changed.get("reply_text", "Hello, we have read it.")
    assert count_replies(desk) == 0


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"reply_text": "", "counts": "no"}, "reply_text", "Write the reply first."),
        ({"reply_text": "Hello, we have read it."}, "counts", "Choose whether this is the reply they were promised."),
        (
            {"reply_text": "Hello, we have read it.", "counts": "yes"},
            "counts_reason",
            "Explain in a sentence why the return code alone is enough.",
        ),
        (
            {"reply_text": "Hello, we have read it.", "counts": "yes", "counts_reason": "x" * 301},
            "counts_reason",
            "up to 300 characters",
        ),
        (
            {"reply_text": "x" * (MAX_BODY_CHARACTERS + 7), "counts": "no"},
            "reply_text",
            "This one has 4,007: remove 7.",
        ),
        (
            {"reply_text": "\N{GRINNING FACE}" * MAX_BODY_CHARACTERS, "counts": "no"},
            "reply_text",
            "Shorten it.",
        ),
    ],
)
@pytest.mark.parametrize("step", ["preview", "send"])
def test_what_is_missing_is_said_and_no_word_is_lost(
    desk: Desk, browser: Browser, case_id: str, fields: dict[str, str], field: str, said: str, step: str
) -> None:
    assessment = {
        "urgency": "each",
        "urgent": "yes",
        "kind": "sexual_talk",
        "weakness": ["no_block_tool"],
        "cluster": "K7QF",
    }
    if step == "send":
        fields = {**fields, "mark": make_mark(make_draft(Typed(fields)))}
    refused = post(browser, case_id, step, **fields, **assessment)
    assert refused.status_code == 409
    assert said in html.unescape(refused.text)
    assert has_fault_read_with(refused.text, field)
    assert get_typed(refused.text) == fields["reply_text"]
    assert re.search(r'name="urgent" value="yes" checked', refused.text)
    assert '<option value="sexual_talk" selected>' in refused.text
    assert re.search(r'value="no_block_tool" checked', refused.text)
    assert 'value="K7QF"' in refused.text
    assert 'id="contact"' in refused.text  # the report is still open
    assert count_replies(desk) == 0


def test_reply_that_counts_is_recorded_with_its_reason(desk: Desk, browser: Browser, case_id: str) -> None:
    fields = {"reply_text": "Hello, we have read it.", "counts": "yes", "counts_reason": "phone is shared"}
    seen = post(browser, case_id, "preview", **fields)
    assert "It counts as the reply they were promised. Reason: “<bdi>phone is shared</bdi>”." in seen.text
    post(browser, case_id, "send", **fields, **get_hidden(seen.text))
    with desk.store.read() as connection:
        assert get_case(connection, case_id).reply_code == "replied_by_return_code"
    page = browser.get(f"/cases/{case_id}").text
    assert "Through the return code alone" in page
    assert "phone is shared" not in page
    assert "phone is shared" in browser.post(f"/cases/{case_id}/read").text


def test_template_is_put_behind_what_is_written(browser: Browser, case_id: str) -> None:
    page = post(browser, case_id, "start", reply_text=f"This one is mine. {MARKER}", template="we_have_read_it").text
    text = next(one.text for one in load_texts("en").template if one.code == "we_have_read_it").strip()
    text = text.format(name=" Sam")
    assert get_typed(page) == f"This one is mine. {MARKER}\n\n{text}"
    refused = post(browser, case_id, "start", reply_text="This one is mine.", template="no-such-template")
    assert refused.status_code == 409
    assert get_typed(refused.text) == "This one is mine."


def test_templates_follow_kind_age_and_who_reads_them() -> None:
    child = list_templates(make_public_report(under_18="yes", kinds=("threatens_to_share",), age_band="13_15"))
    adult = list_templates(make_public_report(under_18="no", kinds=("threatens_to_share",), age_band="13_15"))
    assert child[0].code == adult[0].code == "full"
    assert child[0].text != adult[0].text
    assert "advice-threatens_to_share" in {one.code for one in child}
    assert "advice-threatens_to_share" not in {one.code for one in list_templates(make_public_report(kinds=()))}
    assert not {one.code for one in adult} & {"we_have_read_it", "may_we_call"}
    for one in (*child, *adult):
        assert 0 < len(one.text) <= MAX_BODY_CHARACTERS
        assert "{" not in one.text


def test_advice_of_a_reply_is_for_who_reads_it() -> None:
    def whole(**given: str) -> str:
        return list_templates(make_public_report(kinds=("touched_or_hurt",), **given))[0].text

    texts = {
        whole(under_18=under_18, who=who)
        for under_18, who in (
            ("yes", "me"),
            ("yes", "friend"),
            ("no", "me"),
            ("no", "child_i_look_after"),
            ("no", "child_i_work_with"),
        )
    }
    assert len(texts) == 5
    assert "The child" not in whole(under_18="no", who="me")


UK_ALONE = re.compile(
    "999|0800 1111|116 123|85258|0808 800 5000|Samaritans|Shout|NSPCC|Papyrus|Report Remove|Harmful Content|Revenge"
)
ABROAD = {"region": "not_uk", "country": "au", "who": "me", "feels": "hurting"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("under_18", ["yes", "no"])
@pytest.mark.parametrize("country", ["au", "other", ""])
def test_ready_reply_to_a_reader_in_another_country_names_no_body_of_the_uk(
    language: Language, under_18: str, country: str
) -> None:
    given = ABROAD | {"kinds": KINDS, "language": language, "under_18": under_18, "country": country}
    templates = list_templates(make_public_report(**given))
    assert len(templates) > 5
    for one in templates:
        assert UK_ALONE.search(one.text) is None, (one.code, one.text)
        assert one.text.strip(), one.code
        assert "{" not in one.text, one.code
    assert ("000" if country == "au" else "112") in templates[0].text
    helpline = {"au": "Kids Helpline (1800 55 1800)"}.get(country, "Child Helpline International (https://")
    assert (helpline in templates[0].text) is (under_18 == "yes")
    assert ("Find A Helpline (https://findahelpline.com)" in templates[0].text) is (under_18 == "no")


def test_ready_reply_to_a_reader_in_the_uk_about_a_child_abroad_keeps_the_readers_number() -> None:
    given = ABROAD | {"who": "child_i_look_after", "under_18": "no"}
    text = list_templates(make_public_report(**given))[0].text
    assert "999" in text
    assert "NSPCC" in text
    assert "The child can talk to Kids Helpline (1800 55 1800)" in text
    assert "Childline" not in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("under_18", "who", "feels", "helplines"),
    [
        ("yes", "me", "hurting", ("childline", "samaritans", "shout")),
        ("yes", "friend", "reporter_hurting", ("childline", "samaritans", "shout")),
        ("yes", "friend", "hurting", ("childline", "papyrus")),
        ("no", "child_i_look_after", "hurting", ("childline", "papyrus")),
        ("no", "child_i_work_with", "hurting", ("childline", "papyrus")),
        ("no", "me", "hurting", ("samaritans", "shout")),
    ],
)
def test_reply_to_a_person_who_may_hurt_themselves_begins_with_help_now(
    under_18: str, who: str, feels: str, helplines: tuple[str, ...], language: str
) -> None:
    def list_advice(said: str) -> list[tuple[str, str]]:
        report = make_public_report(
            under_18=under_18, who=who, feels=said, kinds=("threatens_to_share",), age_band="13_15", language=language
        )
        return [(one.code, one.text) for one in list_templates(report) if one.code.startswith("advice-")]

    signposts = load_signposts()
    numbers = [signposts[key].phone or signposts[key].text_number for key in helplines]
    code, first = list_advice(feels)[0]
    assert "hurting" in code
    assert "999" in first
    assert [number for number in numbers if f"({number})" not in first] == []
    assert [one for one, _ in list_advice(feels)[1:]] == [one for one, _ in list_advice("scared")]  # it takes no place


def test_templates_speak_the_language_of_the_form() -> None:
    english, welsh = (
        list_templates(make_public_report(under_18="yes", kinds=("on_camera",), language=language))
        for language in LANGUAGES
    )
    assert [one.code for one in english] == [one.code for one in welsh]
    assert not {one.text for one in english} & {one.text for one in welsh}


def test_words_of_the_templates_are_kind() -> None:
    banned = re.compile(
        r"\b(please|sorry|valid|invalid|forbidden|illegal|oops|you forgot|victim|abuse|suspect)\b", re.I
    )
    files = [load_texts(language) for language in LANGUAGES]
    texts = [one.text for file in files for one in file.template]
    texts += [part for file in files for frame in file.full.values() for part in (frame.opening, frame.closing)]
    assert len(texts) >= 20
    assert [text for text in texts if banned.search(text)] == []
    sentences = [one for text in texts for one in re.split(r"[.?!:]\s", text)]
    assert max(len(sentence.split()) for sentence in sentences) <= 15


def test_welsh_texts_say_that_no_welsh_speaker_has_checked_them(desk: Desk, browser: Browser) -> None:
    said = "A Welsh speaker has not checked these texts yet"
    english, welsh = (
        add_sealed_case(desk, marker="", report={"reply_key": KEY, "language": language}) for language in LANGUAGES
    )
    assert said not in browser.post(f"/cases/{english}/read").text
    assert said in browser.post(f"/cases/{welsh}/read").text


def test_report_without_a_code_offers_no_such_reply(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker="", under_18="yes")
    page = browser.post(f"/cases/{case_id}/read").text
    assert "Write to the return code" not in page
    refused = post(browser, case_id, "preview", reply_text="Hello, we have read it.", **NOT_THE_REPLY)
    assert refused.status_code == 409
    assert "This report has no return code" in refused.text


def test_reply_may_be_written_after_the_case_was_closed(desk: Desk, browser: Browser) -> None:
    report = {"reply_key": KEY, "contact": make_contact(ways=("call",), phone="0000")}
    case_id = add_sealed_case(desk, marker="", report=report, closed_at="2026-11-25T10:00:00Z")
    browser.post(f"/cases/{case_id}/read")
    seen = post(browser, case_id, "preview", reply_text="Hello again to you.")
    assert seen.status_code == 200
    assert post(browser, case_id, "send", reply_text="Hello again to you.", **get_hidden(seen.text)).status_code == 303
    assert count_replies(desk) == 1


FROM_THE_START = "2026-11-25T09:30:00Z"


@pytest.mark.parametrize(
    ("columns", "hour"),
    [
        ({"factors": "grooming"}, "13:30"),
        ({"factors": "self_harm", "crisis": True, "crisis_since": FROM_THE_START}, "10:30"),
        # Lowered by a person, who promised nobody anything else.
        ({"factors": "self_harm"}, "10:30"),
        # What was added or a person raised it: an hour from then, or as it was promised first.
        ({"factors": "self_harm", "crisis": True, "crisis_since": "2026-11-25T10:00:00Z"}, "11:00"),
        ({"factors": "grooming", "crisis": True, "crisis_since": "2026-11-25T13:00:00Z"}, "13:30"),
        ({"factors": "grooming", "crisis": True, "crisis_since": FROM_THE_START}, "10:30"),
    ],
)
def test_hour_by_which_a_report_is_to_be_read_stands_beside_the_day_of_the_answer(
    desk: Desk,
    browser: Browser,
    clock: Clock,
    columns: dict[str, Any],
    hour: str,
) -> None:
    case_id = add_sealed_case(desk, marker="", under_18="yes", report={"reply_by": "2026-11-27"}, **columns)
    said = f"{hour} on Wednesday 25 November"
    page = browser.get(f"/cases/{case_id}").text
    assert f"<dt>To be read by</dt><dd>{said}</dd>" in page
    assert page.index("<dt>To be read by") < page.index("An answer by Friday 27 November")
    clock.now += timedelta(hours=4, minutes=1)
    browser.sign_in()
    assert f"{said}, which has passed</dd>" in browser.get(f"/cases/{case_id}").text


def test_promised_day_is_said_and_when_it_has_passed(desk: Desk, browser: Browser, clock: Clock, case_id: str) -> None:
    assert "We promised an answer by Friday 27 November." in browser.get(f"/cases/{case_id}").text
    assert "days late" not in browser.get("/").text
    clock.now += timedelta(days=2, hours=14, minutes=29)  # Friday, 23:59 in the United Kingdom
    browser.sign_in()
    assert re.search(r"\blate\b", browser.get(f"/cases/{case_id}").text) is None
    clock.now += timedelta(minutes=1)
    assert "It is 1 day late." in browser.get(f"/cases/{case_id}").text
    queue = browser.get("/").text
    assert "Reply 1 day late" in queue
    assert re.search(r"Replies overdue <b>1</b>", queue)
    assert case_id in browser.get("/?lane=overdue").text


def test_late_replies_do_not_change_the_order_of_the_queue(desk: Desk, browser: Browser) -> None:
    late = add_sealed_case(desk, marker="", under_18="yes", report={"reply_by": "2026-11-20"})
    danger = add_sealed_case(desk, marker="", under_18="yes", crisis=True, score=140, priority="P1")
    page = browser.get("/").text
    assert page.index(danger) < page.index(late)
    overdue = browser.get("/?lane=overdue").text
    assert danger not in overdue[overdue.index("<h1") :]  # above them stands the case to read next
    browser.post(f"/cases/{late}/read")
    assert browser.post(f"/cases/{late}/reply", **make_talk_form(desk)).status_code == 303
    assert "Replies overdue" not in browser.get("/").text


def test_prepared_reply_fits_a_child_who_is_hurt_by_someone_near_and_uses_the_name():
    report = make_public_report(
        name="Sam", kinds=("touched_or_hurt",), under_18="yes", who="me", person=make_known_person(near="yes")
    )
    texts = {one.code: one.text for one in list_templates(report)}
    whole = texts["full"]
    assert whole.startswith("Hello Sam.")
    assert "Tell a grown-up who does not live with you" in whole
    assert not [said for said in ("block", "delete", "Keep what they wrote") if said in whole]
    assert texts["hurt_at_home"].startswith("Hello Sam.")
    assert "Call 999." in texts["hurt_at_home"]
    far = make_public_report(name=" ", kinds=("touched_or_hurt",), under_18="yes", who="me")
    assert list_templates(far)[0].text.startswith("Hello.")
    assert "You can block the person." in list_templates(far)[0].text


def test_prepared_reply_to_a_carer_abroad_names_the_number_and_the_helpers_there():
    given = {
        "under_18": "no",
        "who": "child_i_look_after",
        "region": "not_uk",
        "country": "au",
        "kinds": ("sexual_talk",),
    }
    there = list_templates(make_public_report(**given, there_too="yes"))[0].text
    assert "call 000" in there
    assert "999" not in there
    assert "call 999" in list_templates(make_public_report(**given))[0].text
