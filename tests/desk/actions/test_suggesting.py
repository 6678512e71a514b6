"""Every case gets a body that can help: suggestions by kind, place, risk and hours, over their whole range."""

from datetime import date
from itertools import product

import msgspec
import pytest

from gateway.desk.actions.destinations import Circumstances, Suggestion, load_register, load_rules, suggest_destinations
from gateway.desk.cases.model import BEST_PLACED, KINDS
from gateway.exchange.public_codes import NOT_SURE, NOT_UK, REGIONS
from gateway.guidance.signposts import load_countries

TODAY = date(2026, 11, 28)
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
