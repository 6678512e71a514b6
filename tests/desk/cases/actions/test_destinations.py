"""The register of destinations: this release's facts, an agency's own, and the gaps that are left.

Every case gets a body that can help: suggestions by kind, place, risk and hours, over their whole range.

Suggested destinations on a case, by the words of its opened report, and the page of the register.
"""

import html
import re
from datetime import date
from itertools import product
from pathlib import Path

import msgspec
import pytest

from gateway.desk.cases.actions.destinations import (
    FACT_FILES,
    Circumstances,
    Suggestion,
    list_gaps,
    load_register,
    load_rules,
    make_public_ways,
    suggest_destinations,
)
from gateway.desk.cases.model import BEST_PLACED, KINDS
from gateway.desk.office.wiring import Desk
from gateway.exchange.public_codes import NOT_SURE, NOT_UK, REGIONS
from gateway.guidance.signposts import load_countries, load_signposts, read_facts
from gateway.web.settings import SettingsError
from tests.desk.view_builders import Browser, add_sealed_case
from tests.public_report_builders import make_child_details

TODAY = date(2026, 11, 28)
OWN = """
[kent]
channel = "mailbox"
partner = "kent-police"
contact = "The duty desk of the force"
checked_on = 2026-11-28
source = "the protocol of 1 March 2026"
protocol = { version = "2", agreed_on = 2026-03-01, review_on = 2027-03-01, may_pass = ["packages"] }

[sussex]
retired_on = 2026-11-28
checked_on = 2026-11-28
source = "a letter of the force"

[town_centre_project]
name = "Project of a town"
group = "support"
takes = ["referral"]
nations = ["england"]
areas = ["Margate"]
checked_on = 2026-11-28
source = "the project's own page"
"""


def write_own(folder: Path, text: str = OWN) -> Path:
    path = folder / "destinations.toml"
    path.write_text(text, "utf-8")
    return path


def test_register_has_every_force_and_no_invented_contact() -> None:
    register = load_register()
    forces = [one for one in register.values() if one.group == "police"]
    assert len(forces) == 45  # the territorial forces of the United Kingdom
    assert all(one.areas for one in forces)
    assert len([one for one in register.values() if one.group == "special_police"]) == 3
    assert len([one for one in register.values() if one.group == "overseas"]) == 6
    assert {one.nations for one in register.values() if one.group == "childrens_services"} == {
        ("england",),
        ("wales",),
        ("scotland",),
        ("northern_ireland",),
    }
    assert not any(one.contact or one.partner or one.protocol for one in register.values())
    assert {key for key, _ in list_gaps(register, today=TODAY)} == set(register)


def test_no_area_is_served_by_two_forces() -> None:
    forces = [one for one in load_register().values() if one.group == "police"]
    areas = [area for one in forces for area in one.areas]
    assert len(areas) == len(set(areas))


def test_every_entry_is_a_dated_fact() -> None:
    facts = [fact for path in FACT_FILES for fact in read_facts(path)]
    assert {fact.key for fact in facts} == set(load_register())


def test_agency_adds_a_contact_and_a_body_and_retires_one(tmp_path: Path) -> None:
    register = load_register(write_own(tmp_path))
    assert register["kent"].channel == "mailbox"
    assert register["kent"].areas == load_register()["kent"].areas
    assert register["sussex"].is_retired(TODAY)
    assert register["town_centre_project"].serves("Margate, Kent")
    gaps = dict(list_gaps(register, today=TODAY))
    assert "kent" not in gaps
    assert "sussex" not in gaps
    assert gaps["town_centre_project"] == "no channel was agreed"


def test_protocol_past_its_review_is_a_gap(tmp_path: Path) -> None:
    register = load_register(write_own(tmp_path))
    assert "kent" not in dict(list_gaps(register, today=date(2027, 3, 1)))
    assert dict(list_gaps(register, today=date(2027, 3, 2)))["kent"] == "its protocol was to be reviewed by 2027-03-01"


@pytest.mark.parametrize(
    "text",
    [
        '[kent]\ncontact = "x"\n',  # nobody checked it
        '[kent]\nphone = "x"\nchecked_on = 2026-11-28\nsource = "a letter"\n',  # no such key
        '[new_body]\nname = "x"\nchecked_on = 2026-11-28\nsource = "a letter"\n',  # no group
        '[kent]\nnations = ["mercia"]\nchecked_on = 2026-11-28\nsource = "a letter"\n',
        '[kent]\nchannel = "fax"\nchecked_on = 2026-11-28\nsource = "a letter"\n',
        '["K\\u0000"]\nname = "x"\nchecked_on = 2026-11-28\nsource = "a letter"\n',
        "kent = 1\n",
        "[kent\n",
    ],
)
def test_hostile_or_half_written_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_register(write_own(tmp_path, text))
    assert caught.value.reason == "bad-settings"


REGISTER = load_register()
UK = tuple(region for region in REGIONS if region not in {NOT_UK, NOT_SURE})
UNLISTED = "zz"  # no country of ours, as "other" in the form


def make_case(**changes: object) -> Circumstances:
    values: dict[str, object] = {
        "kind": "grooming",
        "region": "england",
        "country": "",
        "place": "",
        "is_urgent": False,
        "is_desk_open": True,
    }
    return Circumstances(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def suggest(**changes: object) -> tuple[Suggestion, ...]:
    return suggest_destinations(REGISTER, make_case(**changes), today=TODAY)


def list_keys(found: tuple[Suggestion, ...]) -> list[str]:
    return [key for one in found for key in one.keys]


def test_every_combination_of_kind_risk_hours_and_place_suggests_a_body() -> None:
    countries = (*load_countries(), UNLISTED, "")
    places = [(region, "") for region in ("", *UK, NOT_SURE)] + [(NOT_UK, country) for country in countries]
    for kind, urgent, is_open, (region, country) in product(KINDS, (True, False), (True, False), places):
        found = suggest(kind=kind, is_urgent=urgent, is_desk_open=is_open, region=region, country=country)
        assert found, (kind, urgent, is_open, region, country)
        keys = list_keys(found)
        assert len(keys) == len(set(keys))
        if urgent:
            takes = {take for key in keys for take in REGISTER[key].takes}
            assert "crisis" in takes, "an urgent case reaches a body that takes a crisis"


@pytest.mark.parametrize("answer", [one for one in BEST_PLACED if one != "nobody"])
def test_body_that_the_assessment_names_comes_first(answer: str) -> None:
    found = suggest(
        best_placed=answer,
        kind="sexual_acts_live",
        region=NOT_UK if answer == "overseas_police" else "england",
        country="ca",
    )
    assert found[0].is_as_assessed
    assert not found[-1].is_as_assessed


def test_touched_or_hurt_is_no_case_of_pictures() -> None:
    keys = list_keys(suggest(kind="contact_abuse", place="Leeds"))
    assert "west_yorkshire" in keys
    assert "iwf" not in keys


def test_rules_name_bodies_and_answers_that_exist() -> None:
    for rule in load_rules():
        assert set(rule.bodies) <= REGISTER.keys()
        assert set(rule.regions) <= set(REGIONS)
        assert set(rule.kinds) <= set(KINDS)
    assert {rule.code for rule in load_rules()} >= set(BEST_PLACED) - {"nobody"}


@pytest.mark.parametrize(
    ("place", "force"),
    [
        ("Leeds", "west_yorkshire"),
        ("near St. Helens, by the canal", "merseyside"),
        ("STOKE ON TRENT", "staffordshire"),
        ("Kingston-upon-Hull", "humberside"),
        ("Milton Keynes MK9", "thames_valley"),
        ("hove? no: Brighton", "sussex"),
    ],
)
def test_words_of_a_place_leave_its_force(place: str, force: str) -> None:
    police = suggest(place=place)[0]
    assert police.keys == (force,)


def test_place_that_names_two_areas_leaves_both() -> None:
    assert suggest(place="lives in Leeds, goes to school in York")[0].keys == ("north_yorkshire", "west_yorkshire")


def test_londonderry_is_not_london() -> None:
    assert suggest(region=NOT_SURE, place="Londonderry")[0].keys == ("psni",)


def test_place_without_an_area_leaves_every_force_of_the_region() -> None:
    assert len(suggest(place="our house")[0].keys) == 39
    assert suggest(region="wales")[0].keys == ("dyfed_powys", "gwent", "north_wales", "south_wales")
    assert suggest(region="scotland")[0].keys == ("police_scotland",)
    assert len(suggest(region=NOT_SURE)[0].keys) == 45


def test_child_abroad_gets_the_police_of_that_country_and_the_way_to_any_other() -> None:
    assert list_keys(suggest(region=NOT_UK, country="ca"))[:2] == ["ncecc", "nca_international"]
    assert list_keys(suggest(region=NOT_UK, country=UNLISTED))[0] == "nca_international"


def test_body_on_duty_is_suggested_for_what_cannot_wait_alone() -> None:
    assert "crimestoppers" in list_keys(suggest(is_urgent=True, is_desk_open=False))
    assert "crimestoppers" not in list_keys(suggest(is_urgent=True, is_desk_open=True))
    assert "crimestoppers" not in list_keys(suggest(is_urgent=False, is_desk_open=False))


def test_register_without_its_bodies_suggests_the_rest() -> None:
    few = {key: one for key, one in REGISTER.items() if key == "kent"}
    found = suggest_destinations(few, make_case(is_urgent=True, is_desk_open=False), today=TODAY)
    assert list_keys(found) == ["kent"]


def test_retired_body_is_suggested_to_nobody() -> None:
    kent = msgspec.structs.replace(REGISTER["kent"], retired_on=TODAY)
    found = suggest_destinations({**REGISTER, "kent": kent}, make_case(place="Dover, Kent"), today=TODAY)
    assert "kent" not in list_keys(found)
    yesterday = suggest_destinations({**REGISTER, "kent": kent}, make_case(place="Kent"), today=date(2026, 11, 27))
    assert yesterday[0].keys == ("kent",)


def find_helpers(page: str) -> str:
    found = re.search(r'<ul class="helpers">.*?</ul>', html.unescape(page), re.DOTALL)
    assert found is not None
    return found[0]


def test_opened_report_leaves_the_force_of_the_place_it_names(desk: Desk, browser: Browser) -> None:
    report = {"region": "england", "child": make_child_details(place="a flat in Leeds")}
    case_id = add_sealed_case(desk, marker="", report=report, region="england")
    closed = find_helpers(browser.get(f"/cases/{case_id}").text)
    assert "One of 39 local police forces</a>: the place is not known" in closed
    opened = find_helpers(browser.post(f"/cases/{case_id}/read").text)
    assert '<a href="/destinations#west_yorkshire">West Yorkshire Police</a>' in opened
    words = re.sub(r"<[^>]*>", "", opened)
    assert (
        "No number is agreed. Use the one on their own site, or 101; in danger 999. Record here who took it." in words
    )
    assert '<a href="tel:101">101</a>' in opened
    assert "39" not in opened


def test_register_page_lists_every_body_and_says_what_was_not_agreed(desk: Desk, browser: Browser) -> None:
    page = browser.get("/destinations")
    assert page.status_code == 200
    text = html.unescape(page.text)
    for key, one in load_register().items():
        assert f'<li id="{key}">' in text
        assert f"<h3>{one.name}</h3>" in text
    assert f"{len(load_register())} of these cannot be sent anything yet" in text
    assert "Canada" in text


def test_register_page_gives_public_numbers_and_own_sites_of_the_dated_data(desk: Desk, browser: Browser) -> None:
    bodies = dict(re.findall(r'<li id="(\w+)">(.*?)</li>', browser.get("/destinations").text, re.DOTALL))
    assert load_signposts()["crimestoppers"].phone_link in bodies["crimestoppers"]
    assert load_register()["bka"].source in bodies["bka"]
    assert "Find the council" in bodies["children_england_county"]
    assert "Find the council" not in bodies["iwf"]
    assert "href" not in bodies["garda"], "its source is a file of this release"
    assert not any("No contact agreed" in one for one in bodies.values())


@pytest.mark.parametrize("key", ["kent", "british_transport_police", "bka", "crimestoppers"])
def test_number_of_the_police_is_only_for_their_own_country(key: str) -> None:
    way = make_public_ways(load_register())[key]
    assert (way.not_urgent is not None) == (key == "kent"), "101 reaches the force of a place"
    assert (way.emergency is not None) == (key != "bka")


def test_contact_of_the_agency_stands_on_the_page_as_text(desk: Desk) -> None:
    own = '[kent]\ncontact = "<b>the desk</b>"\nchecked_on = 2026-11-28\nsource = "a letter of the force"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    browser = Browser(desk)
    browser.sign_in()
    assert "Contact: &lt;b&gt;the desk&lt;/b&gt;." in browser.get("/destinations").text


def test_mistake_in_the_agencys_file_stops_the_start(desk: Desk) -> None:
    desk.paths.destinations.write_text("[kent]\nfax = 1\n", "utf-8")
    with pytest.raises(SettingsError):
        Browser(desk)
