"""The register of destinations: this release's facts, an agency's own, and the gaps that are left."""

from datetime import date
from pathlib import Path

import pytest

from gateway.desk.actions.destinations import FACT_FILES, list_gaps, load_register
from gateway.guidance.dated_data import read_facts
from gateway.web.settings import SettingsError

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


def test_absent_file_is_the_register_of_the_release(tmp_path: Path) -> None:
    assert load_register(tmp_path / "destinations.toml") == load_register()
