"""Outside the UK: each country has its emergency number and its own place to report, dated and sourced."""

from datetime import date
from pathlib import Path

import pytest

from gateway.guidance.signposts import COUNTRIES_FILE, OTHER, load_countries
from gateway.web.settings import SettingsError

COUNTRIES = load_countries()
# As the NCA's press named them in 2024; Britain's own is not in the list, for this form is its place to report.
VGT_MEMBERS = {"au", "ca", "co", "ph", "nl", "ae", "nz", "ke", "kr", "us"}
PLACES = {code for code in COUNTRIES if code != OTHER}
ENTRY = """
[other]
name_en = "Another country"
name_cy = "Gwlad arall"
emergency = "112"
emergency_source = "https://a.example"
agency = "Everybody"
url = "https://a.example"
languages = ["en"]
vgt_member = false
checked_on = 2026-11-25
source = "https://a.example"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "countries.toml"
    path.write_text(text, "utf-8")
    return path


def test_members_of_the_taskforce_are_all_there_and_britain_is_not() -> None:
    assert {code for code, country in COUNTRIES.items() if country.vgt_member} == VGT_MEMBERS
    assert "gb" not in COUNTRIES
    assert len(COUNTRIES) >= 20


def test_site_of_the_taskforce_is_no_place_to_report() -> None:
    assert "virtualglobaltaskforce" not in COUNTRIES_FILE.read_text("utf-8")


@pytest.mark.parametrize("code", sorted(COUNTRIES))
def test_country_says_where_to_report_and_against_what_it_was_checked(code: str) -> None:
    country = COUNTRIES[code]
    assert country.code == code
    assert date(2026, 1, 1) < country.checked_on <= date(2030, 1, 1)
    assert country.source.startswith("http")
    assert country.emergency_source.startswith("http")
    assert country.phone or country.url
    assert country.talk is None or country.talk.source.startswith("http")
    assert country.talk is None or country.talk.phone or country.talk.url
    assert 2 <= len(country.emergency) <= 5
    assert country.get_name("cy")
    assert all(len(language) == 2 and language.islower() for language in country.languages)


@pytest.mark.parametrize("code", sorted(COUNTRIES))
def test_posts_begin_with_the_emergency_number_and_every_phone_can_be_dialled(code: str) -> None:
    posts = COUNTRIES[code].list_posts()
    assert [kind for kind, _ in posts][:2] == ["emergency", "report"]
    for _, post in posts:
        assert set(post) == {"name", "phone", "phone_link", "url"}
        assert post["phone"] or post["url"]
        assert (post["phone"] is None) == (post["phone_link"] is None)
        if post["phone_link"]:
            digits = post["phone_link"].removeprefix("tel:").removeprefix("+")
            assert digits.isdecimal()


def test_numbers_that_a_child_needs_most_are_those_of_the_sources() -> None:
    numbers = {code: COUNTRIES[code].emergency for code in ("au", "ca", "us", "nz", "ie", "fr", "de", "je", OTHER)}
    assert numbers == {
        "au": "000",
        "ca": "911",
        "us": "911",
        "nz": "111",
        "ie": "112",
        "fr": "112",
        "de": "110",
        "je": "999",
        OTHER: "112",
    }


def test_names_are_in_both_languages_and_the_rest_of_the_world_comes_last() -> None:
    assert list(COUNTRIES)[-1] == OTHER
    names = [country.name_en for country in COUNTRIES.values()][:-1]
    assert names == sorted(names)
    assert len({country.name_cy for country in COUNTRIES.values()}) == len(COUNTRIES)
    assert COUNTRIES["ie"].get_name("cy") == "Iwerddon"
    assert COUNTRIES["ie"].get_name("en") == "Ireland"


def test_rest_of_the_world_names_lists_of_hotlines_and_helplines() -> None:
    names = [post["name"] for _, post in COUNTRIES[OTHER].list_posts()]
    assert names == ["", "INHOPE", "Child Helpline International"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[other]", "[GB]"),
        ("[other]", "[fr]"),
        ('emergency = "112"', 'emergency = "one one two"'),
        ('url = "https://a.example"', ""),
        ('url = "https://a.example"', 'url = "http://a.example"'),
        ('emergency_source = "https://a.example"', ""),
        ('source = "https://a.example"\n', 'source = ""\n'),
        ("checked_on = 2026-11-25", ""),
        ('name_cy = "Gwlad arall"', ""),
        ("vgt_member = false", 'vgt_member = "no"'),
        ("vgt_member = false", "vgt_member = false\nnews = 1"),
    ],
)
def test_loader_is_strict(tmp_path: Path, old: str, new: str) -> None:
    assert list(load_countries(write(tmp_path, ENTRY))) == [OTHER]
    assert old in ENTRY
    with pytest.raises(SettingsError):
        load_countries(write(tmp_path, ENTRY.replace(old, new, 1)))
