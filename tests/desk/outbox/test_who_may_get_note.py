"""The rules for short notes: each condition alone can refuse one; and the parsing of typed addresses.

The words of the short notes: neutral, short enough for one part, nothing of a report and no way to be traced.
"""

import re
from email.headerregistry import Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.office.addresses import find_email_address, find_mail_domain, find_mobile_number, get_mailbox
from gateway.desk.office.config import CarriersConfig
from gateway.desk.outbox.carriers import is_country_open, make_mail
from gateway.desk.outbox.replies import (
    find_note_channel,
    get_note_kind,
    load_note_texts,
    make_note_mail,
    make_note_text,
)
from gateway.exchange.public_report import PublicReport
from tests.builders import NOW, make_clear_fields
from tests.public_report_builders import make_contact, make_known_person, make_public_report

ASKED = {"may_send_note": "yes", "who_sees": "no", "ways": ("email",), "email": "sam@mail.example"}


def make_report(*, contact: dict[str, Any] | None = None, **changes: Any) -> PublicReport:
    said = {"age_band": "13_15", "reporter_age_band": "13_15", "person": make_known_person(near="no")}
    wanted: dict[str, Any] = {**said, "under_18": "yes", **changes}
    return make_public_report(contact=make_contact(**{**ASKED, **(contact or {})}), **wanted)


def test_note_goes_to_who_asked_and_is_alone_with_the_mailbox() -> None:
    assert find_note_channel(make_report()) == "email"


@pytest.mark.parametrize(
    "contact",
    [
        {"may_send_note": ""},
        {"may_send_note": "no"},
        {"may_send_note": "not_sure"},
        {"who_sees": ""},
        {"who_sees": "yes"},
        {"who_sees": "not_sure"},
        {"ways": ()},
        {"ways": ("call", "adult", "school")},
        {"email": ""},
        {"email": "no address"},
        {"ways": ("text",)},
        {"ways": ("text",), "phone": "ask my friend"},
        {"ways": ("call",), "phone": "07700 900123"},
    ],
)
def test_contact_that_is_not_safe_and_asked_for_gets_no_note(contact: dict[str, Any]) -> None:
    assert find_note_channel(make_report(contact=contact)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"age_band": "under_12"},
        {"age_band": "12"},
        {"age_band": "12_or_under"},
        {"reporter_age_band": "under_12"},
        {"age_band": "under_12", "reporter_age_band": "", "under_18": "no"},
        {"age_band": "", "reporter_age_band": ""},
        {"age_band": ""},
        {"age_band": "not_sure"},
        {"age_band": "rather_not_say"},
        {"reporter_age_band": ""},
        {"reporter_age_band": "rather_not_say"},
        {"person": make_known_person(near="yes")},
        {"person": make_known_person(near="not_sure")},
        {"person": make_known_person(near="")},
        {"signals": ("honeypot",)},
        {"signals": ("fast",)},
        {"signals": ("danger-went-on", "limited")},
        {"clear": make_clear_fields("public", kind="supplement", earlier_reference="K7QF-2M9TX-D")},
    ],
)
def test_each_other_limb_alone_says_no(changes: dict[str, Any]) -> None:
    assert find_note_channel(make_report(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"signals": ("danger-went-on",)},
        {"age_band": "16_17"},
        {"age_band": "13_15", "reporter_age_band": "18_plus", "under_18": "no"},
    ],
)
def test_what_is_no_reason_does_not_stop_the_note(changes: dict[str, Any]) -> None:
    assert find_note_channel(make_report(**changes)) == "email"


def test_mailbox_comes_before_the_locked_screen_of_a_phone() -> None:
    both = {"ways": ("text", "email"), "phone": "07700 900123"}
    assert find_note_channel(make_report(contact=both)) == "email"
    assert find_note_channel(make_report(contact={**both, "email": "at home"})) == "sms"
    assert find_note_channel(make_report(contact={**both, "ways": ("text",)})) == "sms"


@pytest.mark.parametrize(("under_18", "note"), [("yes", "promised"), ("", "promised"), ("no", "if_needed")])
def test_answer_is_promised_to_everybody_who_is_not_grown_up(under_18: str, note: str) -> None:
    assert get_note_kind(make_report(under_18=under_18)) == note


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("sam@mail.example", "sam@mail.example"),
        ("  Sam.Taylor+form@Mail.EXAMPLE ", "Sam.Taylor+form@mail.example"),
        ("sam@bücher.example", "sam@xn--bcher-kva.example"),
        ("o'neil@mail.example", "o'neil@mail.example"),
        ("a=b?c@mail.example", "a=b?c@mail.example"),
        ("=?utf-8?q?a?=@mail.example", None),
        ("=?iso-8859-1?q?kim=40other.example=3e=00?=sam@mail.example", None),
        ("sam=?utf-8?b?YQ==?=@mail.example", None),
        ("", None),
        ("sam", None),
        ("sam@", None),
        ("@mail.example", None),
        ("sam@mail", None),
        ("sam@localhost", None),
        ("sam@192.0.2.1", None),
        ("sam@[192.0.2.1]", None),
        ("sam@mail.example, kim@mail.example", None),
        ("sam@mail.example;kim@mail.example", None),
        ("sam@mail.example\nBcc: kim@mail.example", None),
        ("sam@mail.example\r\n", None),
        ("sam\x00@mail.example", None),
        ("Sam <sam@mail.example>", None),
        ('"sam kim"@mail.example', None),
        ("sam@kim@mail.example", None),
        ("sam..taylor@mail.example", None),
        (".sam@mail.example", None),
        ("sam@-mail.example", None),
        ("sam@mail..example", None),
        ("sam@mail.example.", None),
        ("zoë@mail.example", None),
        ("sam@straße.example", None),
        ("sam@mail.ex%61mple", None),
        ("a" * 65 + "@mail.example", None),
        ("sam@" + ".".join(["a" * 63] * 4) + ".example", None),
    ],
)
def test_email_address_is_one_plain_address_or_none(typed: str, address: str | None) -> None:
    assert find_email_address(typed) == address


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("07700 900123", "+447700900123"),
        ("(07700) 900-123", "+447700900123"),
        ("+44 7700 900123", "+447700900123"),
        ("+44 (0)7700 900123", "+447700900123"),
        ("0044 7700.900123", "+447700900123"),
        ("07624 900123", "+447624900123"),
        ("+353 20 910 1234", "+353209101234"),
        ("+1 202 555 0100", "+12025550100"),
        ("", None),
        ("call me", None),
        ("020 7946 0000", None),
        ("+44 20 7946 0000", None),
        ("07000 900123", None),
        ("07600 900123", None),
        ("7700 900123", None),
        ("07700 90012", None),
        ("07700 9001234", None),
        ("07700 900123 or 07700 900124", None),
        ("07700 900123 after 5", None),
        ("999", None),
        ("+0 7700 900123", None),
        ("++447700900123", None),
        ("٠٧٧٠٠ ٩٠٠١٢٣", None),
        ("07700\n900123", None),
    ],
)
def test_mobile_number_is_one_number_or_none(typed: str, number: str | None) -> None:
    assert find_mobile_number(typed) == number


@given(st.text(max_size=60))
def test_nothing_typed_gives_a_line_a_second_address_or_an_error(typed: str) -> None:
    found = find_email_address(f"{typed}@mail.example"), find_email_address(f"sam@{typed}.example")
    for address in found:
        assert address is None or (address.isascii() and address.isprintable() and address.count("@") == 1)
        assert address is None or not set(address) & set(' ,;<>"\\()[]:')
    number = find_mobile_number(typed)
    assert number is None or (number[0] == "+" and number[1:].isdigit() and 9 <= len(number) <= 16)


def test_one_mailbox_has_one_spelling() -> None:
    same = {get_mailbox(text) for text in ("sam@mail.example", "SAM+two@mail.example", "Sam@mail.example")}
    assert same == {"sam@mail.example"}
    assert get_mailbox("kim@mail.example") not in same
    assert get_mailbox("+447700900123") == "+447700900123"


def test_dots_and_the_second_name_of_one_provider_are_one_mailbox_and_elsewhere_they_are_not() -> None:
    typed = ("sam.kim@gmail.com", "s.amkim@gmail.com", "SamKim+x@googlemail.com")
    assert {get_mailbox(text) for text in typed} == {"samkim@gmail.com"}
    assert {find_mail_domain(text) for text in typed} == {"gmail.com"}
    assert get_mailbox("sam.kim@mail.example") != get_mailbox("samkim@mail.example")
    assert find_mail_domain("sam@mail.example") != find_mail_domain("sam@post.example")
    assert find_mail_domain("+447700900123") is None


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64))
def test_address_that_may_be_written_to_can_be_put_into_a_mail(local: str) -> None:
    address = find_email_address(f"{local}@mail.example")
    if address is not None:
        mail = make_mail(
            address, sender=Address(addr_spec="a@b.example"), subject="s", body="b", now=NOW, random=bytes(16)
        )
        assert f"To: {address}\r\n".encode() in mail.as_bytes()


@pytest.mark.parametrize(
    ("typed", "codes", "is_open"),
    [
        ("07700 900123", ("44",), True),
        ("07911 200123", ("44",), True),
        ("07797 712345", ("44",), False),
        ("07700 312345", ("44",), False),
        ("07829 712345", ("44",), False),
        ("07937 712345", ("44",), False),
        ("07781 123456", ("44",), False),
        ("07839 123456", ("44",), False),
        ("07911 123456", ("44",), False),
        ("07624 312345", ("44",), False),
        ("07924 312345", ("44",), False),
        ("07797 712345", ("44", "447797"), True),
        ("07781 123456", ("44", "447797"), False),
        ("+353 20 910 1234", ("44",), False),
        ("+1 202 555 0100", ("44", "1202"), True),
        ("+1 876 555 0100", ("44", "1202"), False),
    ],
)
def test_text_message_goes_only_where_the_settings_say(typed: str, codes: tuple[str, ...], *, is_open: bool) -> None:
    number = find_mobile_number(typed)
    assert number is not None
    assert is_country_open(number, carriers=CarriersConfig(sms_country_codes=codes)) is is_open


# 3GPP TS 23.038 §6.2.1, the default alphabet without its escape.
GSM_7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
KINDS = ("promised", "if_needed")
# Whoever holds the phone must not learn what it is about, in either language.
TELLING = re.compile(
    r"abus|police|heddlu|child|plent|ceop|safe|diogel|report|adrodd|agency|asiantaeth|help|crime|tros|http|www|://|\d",
    re.IGNORECASE,
)


def texts() -> list[str]:
    found = [make_note_text(language, note=note) for language in ("en", "cy") for note in KINDS]
    for words in (load_note_texts().en, load_note_texts().cy):
        found += [words.email.subject, *(getattr(words.email, note) for note in KINDS)]
    assert len(found) == 10
    return found


@pytest.mark.parametrize("note", KINDS)
def test_english_text_message_is_one_part_of_gsm_7(note: str) -> None:
    text = make_note_text("en", note=note)  # type: ignore[arg-type] - one of the two
    assert set(text) <= GSM_7
    assert 1 <= len(text) <= 160


@pytest.mark.parametrize("note", KINDS)
def test_welsh_text_message_is_one_part_even_as_ucs_2(note: str) -> None:
    text = make_note_text("cy", note=note)  # type: ignore[arg-type] - one of the two
    assert 1 <= len(text.encode("utf-16-be")) // 2 <= 70


def test_no_word_tells_what_it_is_about() -> None:
    assert [text for text in texts() if TELLING.search(text)] == []


def test_words_are_kind() -> None:
    banned = re.compile(r"\b(please|sorry|valid|invalid|forbidden|illegal|oops|victim|mae'n ddrwg)\b", re.IGNORECASE)
    assert [text for text in texts() if banned.search(text)] == []
    assert all(len(sentence.split()) <= 15 for text in texts() for sentence in re.split(r"[.\n]", text))


@pytest.mark.parametrize("language", ["en", "cy"])
def test_mail_is_plain_text_with_nothing_to_load_or_to_follow(language: str) -> None:
    mail = make_note_mail(
        "sam@mail.example",
        sender=Address(display_name="The team", addr_spec="hello@team.example"),
        language=language,
        note="promised",
        now=NOW,
        random=bytes(16),
    )
    assert mail.get_content_type() == "text/plain"
    assert set(mail.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }
    assert mail["Message-ID"] == f"<{'00' * 16}@team.example>"
    assert max(map(len, mail.as_bytes().split(b"\r\n"))) <= 100


def test_language_without_words_gets_english() -> None:
    assert make_note_text("pl", note="promised") == make_note_text("en", note="promised")
