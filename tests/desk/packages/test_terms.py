"""Legal bases and handling conditions: data that offers every body of the register at least one law."""

from gateway.desk.actions.destinations import load_register
from gateway.desk.packages.content import load_handling, load_legal_bases

PASSED = {"package", "crisis", "referral"}


def test_every_body_that_takes_a_package_has_a_law_that_needs_nobodys_agreement() -> None:
    takers = {one.group for one in load_register().values() if PASSED & set(one.takes)}
    assert len(takers) >= 5
    lawful = {group for one in load_legal_bases().values() if not one.agreed for group in one.groups}
    assert takers - lawful == set()


def test_every_body_that_takes_a_redirected_report_takes_it_by_agreement() -> None:
    takers = {one.group for one in load_register().values() if "redirect" in one.takes}
    assert len(takers) >= 2
    agreed = {group for one in load_legal_bases().values() if one.agreed for group in one.groups}
    assert takers - agreed == set()


def test_every_entry_is_worded_for_the_page_and_for_its_reader() -> None:
    bases, handling = load_legal_bases(), load_handling()
    assert len(bases) >= 5
    assert len(handling) >= 5
    assert {one.title for one in bases.values() if not (one.say.endswith(".") and one.law and one.asks)} == set()
    assert {one.title for one in handling.values() if not one.say.endswith(".")} == set()
    assert any(one.usual for one in handling.values())
    assert any(not one.usual for one in handling.values())
