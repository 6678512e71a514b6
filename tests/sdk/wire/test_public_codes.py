"""The codes that form and desk both act on: the report takes each, and the questions to it have one answer."""

from typing import get_args, get_type_hints

import pytest

from gateway.exchange import public_codes
from gateway.exchange.public_codes import (
    ADULT_BAND,
    AGE_BANDS,
    CONTACT_WAYS,
    DANGER_PREFIX,
    FAST_SIGNAL,
    HONEYPOT_SIGNAL,
    LIMITED_SIGNAL,
    MEETING_TIMES,
    MEETS_SOON,
    NO,
    NOT_UK,
    REGIONS,
    UNDER_AGE_LINE,
    YES,
    YOUNGEST_BANDS,
)
from gateway.exchange.public_report import (
    LIST_MAX,
    Meeting,
    PublicReport,
    encode_public_report,
    is_flagged,
    is_from_grown_up,
    parse_public_report,
)
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import LANGUAGES, Language
from tests.public_report_builders import make_contact, make_public_report


def list_codes() -> dict[str, str]:
    """List every code of the module by its name and place; the prefix gives its kind."""
    found: dict[str, str] = {}
    for name, value in vars(public_codes).items():
        if not name.isupper() or not isinstance(value, (str, tuple)):
            continue
        values = value if isinstance(value, tuple) else (value,)
        found |= {f"{name}[{place}]": f"{one}x" if one.endswith("-") else one for place, one in enumerate(values)}
    return found


def test_every_code_of_the_module_is_one_that_the_report_takes() -> None:
    codes = list_codes()
    assert len(codes) >= 40
    assert codes["DANGER_PREFIX[0]"] == "danger-x"
    for name, code in codes.items():
        report = make_public_report(age_band=code, signals=(code,))
        assert parse_public_report(encode_public_report(report)) == report, name


@pytest.mark.parametrize(
    "changes",
    [
        *({"age_band": band, "reporter_age_band": band} for band in AGE_BANDS),
        *({"region": region} for region in REGIONS),
        *({"meeting": Meeting(place="", when=when)} for when in MEETING_TIMES),
        *({"language": language} for language in LANGUAGES),
        *({"under_18": answer, "danger": answer} for answer in (YES, NO)),
        {"contact": make_contact(ways=CONTACT_WAYS, who_sees=NO, may_send_note=YES)},
        {"signals": (f"{DANGER_PREFIX}cannot_call", HONEYPOT_SIGNAL, FAST_SIGNAL, LIMITED_SIGNAL)},
    ],
)
def test_code_reads_back_from_the_field_that_it_belongs_to(changes: dict[str, object]) -> None:
    report = make_public_report(**changes)
    assert parse_public_report(encode_public_report(report)) == report


def test_languages_are_those_that_the_report_may_be_in() -> None:
    hint = get_type_hints(PublicReport)["language"]
    assert hint is Language
    assert get_args(hint) == LANGUAGES == ("en", "cy")
    with pytest.raises(FormatError):
        parse_public_report(encode_public_report(make_public_report(language="de")))


def test_lists_have_no_code_twice_and_fit_the_report() -> None:
    for codes in (AGE_BANDS, CONTACT_WAYS, LANGUAGES, MEETING_TIMES, REGIONS):
        assert len(codes) == len(set(codes)) <= LIST_MAX
    assert set(MEETS_SOON) < set(MEETING_TIMES)
    assert NOT_UK in REGIONS


def test_age_line_is_where_the_bands_part() -> None:
    assert UNDER_AGE_LINE == 18
    assert (YOUNGEST_BANDS, ADULT_BAND) == (("under_12", "12", "12_or_under"), "18_plus")
    assert AGE_BANDS[:2] == YOUNGEST_BANDS[:2]
    assert AGE_BANDS[AGE_BANDS.index(ADULT_BAND) - 1].endswith(f"_{UNDER_AGE_LINE - 1}")


@pytest.mark.parametrize(
    ("signals", "flagged"),
    [
        ((), False),
        (("danger-called",), False),
        (("danger-cannot_call", "danger-carry_on"), False),
        ((HONEYPOT_SIGNAL,), True),
        ((FAST_SIGNAL,), True),
        ((LIMITED_SIGNAL,), True),
        (("danger-called", FAST_SIGNAL), True),
        ((FAST_SIGNAL, "danger-called"), True),
        (("danger",), True),
        (("a_signal_of_a_later_form",), True),
    ],
)
def test_report_is_flagged_by_every_signal_but_those_of_danger(signals: tuple[str, ...], flagged: bool) -> None:
    assert is_flagged(make_public_report(signals=signals)) is flagged


@pytest.mark.parametrize(("answer", "grown_up"), [("no", True), ("yes", False), ("rather_not_say", False), ("", False)])
def test_only_who_says_so_is_grown_up(answer: str, grown_up: bool) -> None:
    assert is_from_grown_up(make_public_report(under_18=answer)) is grown_up


def test_band_alone_makes_nobody_grown_up() -> None:
    assert not is_from_grown_up(make_public_report(reporter_age_band=ADULT_BAND))
