"""Fixtures that several rooms' tests share; what is special to a test is built in the test."""

from pathlib import Path

import pytest

from tests.builders import Door, House, Partner, make_house


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with tests/whole, whose files take longest: with a file to each core, they must not be left for the end."""
    items.sort(key=lambda item: "whole" not in item.path.parts)


@pytest.fixture
def partner() -> Partner:
    """An online service."""
    return Partner()


@pytest.fixture
def house(tmp_path: Path, partner: Partner) -> House:
    """A gateway that knows one partner and has everything published."""
    return make_house(tmp_path / "gateway", partners=(partner,))


@pytest.fixture
def industry(house: House, partner: Partner) -> Door:
    """The industry door, called by that partner."""
    return house.open_industry(partner)


@pytest.fixture
def feed(house: House) -> Door:
    """The feed, called by the desk."""
    return house.open_feed()
