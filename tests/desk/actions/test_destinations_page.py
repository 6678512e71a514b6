"""Suggested destinations on a case, by the words of its opened report, and the page of the register."""

import html
import re

import pytest

from gateway.desk.actions.destinations import load_register, make_public_ways
from gateway.desk.wiring import Desk
from gateway.guidance.signposts import load_signposts
from gateway.web.settings import SettingsError
from tests.desk.view_builders import Browser, add_sealed_case
from tests.public_report_builders import make_child_details


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
