"""The words of the short notes: neutral, short enough for one part, nothing of a report and no way to be traced."""

import re
from email.headerregistry import Address

import pytest

from gateway.desk.outbox.replies import load_note_texts, make_note_mail, make_note_text
from tests.builders import NOW

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
