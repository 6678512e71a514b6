"""Each identifier has one spelling; hostile and unclear texts have none."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.desk.collection.identifiers import (
    KINDS,
    MOST_CHARACTERS,
    Identifier,
    fold,
    normalise_account,
    normalise_content,
    normalise_device,
    normalise_email,
    normalise_link,
    normalise_name,
    normalise_payment,
    normalise_phone,
    normalise_reference,
    normalise_username,
    squeeze_service,
)

Normaliser = Callable[[str], Identifier | str | None]


def get_value(found: Identifier | str | None) -> str | None:
    return found.value if isinstance(found, Identifier) else found


def normalise_md5(text: str) -> Identifier | None:
    return normalise_content("md5", text.removeprefix("md5:"))


def normalise_any_hash(text: str) -> Identifier | None:
    return normalise_content("other", text.removeprefix("other:"))


def normalise_imei(text: str) -> Identifier | None:
    return normalise_device("IMEI", text)


def normalise_bare_link(text: str) -> Identifier | None:
    return normalise_link(text if "://" in text else f"https://{text}")


NORMALISERS: tuple[Normaliser, ...] = (
    fold,
    normalise_any_hash,
    normalise_bare_link,
    normalise_email,
    normalise_imei,
    normalise_md5,
    normalise_name,
    normalise_payment,
    normalise_phone,
    normalise_reference,
    normalise_username,
    squeeze_service,
)
# Texts near enough to pass: of random characters alone hardly one would.
NEAR = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"(\+44|0|00)[ ()\-0-9]{8,14}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.+_]{1,12}@[a-zA-Z0-9.\-]{1,12}\.(org|example|\u0435xample)", fullmatch=True),
    st.from_regex(
        r"https?://[a-zA-Z.]{1,12}\.example(:80|:443|:99)?/[\w/.%~\u00e9\u0301]{0,20}([?#].*)?", fullmatch=True
    ),
    st.from_regex(r"@{0,2}[A-Za-z_.\uff21-\uff3a\u0131\u017f\u1e9e\ufb03 ]{1,20}", fullmatch=True),
    st.from_regex(r"[A-Fa-f0-9 ]{32,40}", fullmatch=True),
)


@pytest.mark.parametrize("normalise", NORMALISERS)
@given(text=NEAR)
@example(text="\u1fb3\u0345")  # case folding and NFKC change it twice
@example(text="\u0130stanbul")
@example(text="https://www.www.example.org/%2525//a/")
@example(text="a.+b@gmail.com")
@example(text="00000000000000A\u00b4")
@example(text="+44 000000000000")
@example(text="\u1100-\u1161-\u1100-\u1161-\u1100-\u1161")  # three Korean syllables in six letters
@example(text="00000a-\u0301")
def test_one_spelling_stays_as_it_is(normalise: Normaliser, text: str) -> None:
    once = normalise(text)
    if value := get_value(once):
        assert normalise(value) == once
        value.encode("utf-8")


@pytest.mark.parametrize(
    ("normalise", "spellings", "value"),
    [
        (
            normalise_phone,
            ("07700 900123", "+44 7700 900123", "0044 (0)7700-900123", "+44 (0)7700 900123", "\uff10\uff17700900123"),
            "+447700900123",
        ),
        (normalise_phone, ("+39 06 1234 5678", "0039 0612345678"), "+390612345678"),
        (
            normalise_email,
            ("Sam.Owl+game@GoogleMail.com", "samowl@gmail.com", " S.A.M.owl@gmail.com "),
            "samowl@gmail.com",
        ),
        (normalise_email, ("Night@Other.Example", "night+x@other.example"), "night@other.example"),
        (
            normalise_link,
            (
                "https://www.Other.example/u/Night%5fOwl/?utm=1#top",
                "HTTP://other.example:80/u//Night_Owl",
                "https://other.example:443/u/Night_Owl?",
            ),
            "other.example/u/Night_Owl",
        ),
        (normalise_link, ("https://www.example/a", "http://www.www.example/a"), "www.example/a"),
        (
            normalise_username,
            ("@Night_Owl7", "@ night_owl7 ", "\uff2eight_Owl7", "night\u200b_owl7\u202e"),
            "night_owl7",
        ),
        (normalise_payment, ("GB00 TEST 0000 0000", "gb00-test-0000-0000"), "gb00test00000000"),
        (normalise_payment, ("$NightOwl", "nightowl"), "nightowl"),
        (normalise_imei, ("35-209900-176148-1", "352099001761481"), "352099001761481"),
        (normalise_reference, ("CR/2026-114", "cr 2026 114"), "cr2026114"),
        (normalise_name, ("Sam O'Brien", " sam  o\u2019BRIEN"), "sam o brien"),
        (
            squeeze_service,
            ("Other Chat", "otherchat", "https://www.otherchat.example/x", "m.otherchat.co.uk"),
            "otherchat",
        ),
    ],
)
def test_every_spelling_of_one_thing_is_one(normalise: Normaliser, spellings: tuple[str, ...], value: str) -> None:
    assert {one: get_value(normalise(one)) for one in spellings} == dict.fromkeys(spellings, value)


@pytest.mark.parametrize(
    ("normalise", "hostile"),
    [
        (normalise_link, "javascript://other.example/%0aalert(1)"),
        (normalise_link, "hxxps://other.example/a"),
        (normalise_link, "https\u200b://other.example/a"),
        (normalise_link, "\u02b0ttps://other.example/a"),
        (normalise_link, "https://bank.example@other.example/a"),
        (normalise_link, "https://other.example\\@bank.example/a"),
        (normalise_link, "https://other.example/a/../b"),
        (normalise_link, "https://127.0.0.1/a"),
        (normalise_link, "https://other.example/" + "a" * 100_000),
        (normalise_phone, "0800 FLOWERS"),
        (normalise_phone, "12"),
        (normalise_phone, "+" + "9" * 100_000),
        (normalise_phone, "2026-11-28"),
        (normalise_email, "sam@other.example\nbcc: all@other.example"),
        (normalise_email, "sam@other"),
        (normalise_email, "a" * 100_000 + "@other.example"),
        (normalise_username, "@" * 3),
        (normalise_username, "\u200b\u202e"),
        (normalise_username, "n" * (MOST_CHARACTERS + 1)),
        (normalise_payment, "**** 1234"),
        (normalise_imei, "unknown"),
        (normalise_imei, "not known to us"),
        (normalise_md5, "d41d8cd98f00b204e9800998ecf8427"),
        (normalise_md5, "g" * 32),
        (normalise_reference, "n/a"),
        (normalise_reference, "not known"),
        (normalise_name, "1"),
    ],
)
def test_unclear_or_hostile_text_is_nothing(normalise: Normaliser, hostile: str) -> None:
    assert normalise(hostile) is None


def test_look_alike_letters_are_another_account_as_at_the_service() -> None:
    assert normalise_account("Other Chat", "night\u0456owl") != normalise_account("Other Chat", "nightiowl")
    assert normalise_account("Other Chat", "NIGHTIOWL") == normalise_account("otherchat.example", "@nightiowl")


@pytest.mark.parametrize("kind", ["User agent", "Browser", "Model", "OS version", "Operating system"])
def test_what_many_devices_share_is_no_device(kind: str) -> None:
    assert normalise_device(kind, "Mozilla/5.0 0123456789") is None


def test_each_normaliser_names_its_own_kind() -> None:
    made = [
        normalise_account("Other Chat", "night_owl7"),
        normalise_username("night_owl7"),
        normalise_phone("07700 900123"),
        normalise_email("sam@other.example"),
        normalise_link("https://other.example/u/1"),
        normalise_payment("GB00 TEST 0000 0000"),
        normalise_device("IMEI", "352099001761481"),
        normalise_content("md5", "d41d8cd98f00b204e9800998ecf8427e"),
        normalise_reference("CR/2026-114"),
        normalise_name("Sam O'Brien"),
    ]
    assert tuple(one and one.kind for one in made) == KINDS


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("01 42 68 53 00", "FR", "+33142685300"),
        ("07700 900123", "GB", "+447700900123"),
        ("07700 900123", "XX", "+447700900123"),  # no country of the library: the agency's
        ("07700 900123", "", "+447700900123"),
    ],
)
def test_number_without_a_country_is_of_the_person_reporting(typed: str, region: str, number: str) -> None:
    found = normalise_phone(typed, region=region)
    assert found is not None
    assert found.value == number
