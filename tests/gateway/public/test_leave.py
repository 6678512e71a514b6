"""Leaving in a hurry: one link wipes and goes; a foreign page or a prefetch cannot wipe."""

import sys
import threading
from pathlib import Path

import pytest

from gateway.public.views.screens import WIPE_WAIT_SECONDS
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import Person

MARKER = "These are my own words."


def person_with_words(public: PublicHouse) -> Person:
    return public.person_at("/10", p9={"story": MARKER})


@pytest.mark.parametrize("headers", [{"Sec_Fetch_Site": "same-origin"}, {}])
def test_leave_wipes_the_draft_and_the_cookie_and_goes_to_the_weather(public: PublicHouse, headers: dict[str, str]):
    person = person_with_words(public)
    answer = person.get("/leave", **headers)
    assert (answer.status_code, answer.location) == (303, "https://www.bbc.co.uk/weather#")
    assert answer.headers["Clear-Site-Data"] == '"cookies", "storage"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "__Host-journey=;" in answer.headers["Set-Cookie"]
    assert public.house.rows("drafts") == []
    person.get("/10")
    assert person.page.location == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Sec_Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Referer": "https://elsewhere.example/"},
    ],
)
def test_leave_from_elsewhere_only_goes_on(public: PublicHouse, headers: dict[str, str]):
    person = person_with_words(public)
    answer = person.get("/leave", **headers)
    assert answer.status_code == 303
    assert "Clear-Site-Data" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert len(public.drafts_of(person)) == 1


def test_leave_with_a_referer_that_cannot_be_read_wipes_and_goes(public: PublicHouse):
    person = person_with_words(public)
    answer = person.get("/leave", Referer="http://[")
    assert (answer.status_code, answer.location) == (303, "https://www.bbc.co.uk/weather#")
    assert "__Host-journey=;" in answer.headers["Set-Cookie"]
    assert public.wait_for_no_drafts()


@pytest.mark.parametrize("broken", ["find_visit", "find_referrer_host"])
def test_leave_leaves_whatever_breaks(public: PublicHouse, monkeypatch: pytest.MonkeyPatch, broken: str):
    def fail(*_arguments: object) -> None:
        raise RuntimeError("broken")

    person = person_with_words(public)
    # By its full name: the room's `leave` is the view.
    monkeypatch.setattr(sys.modules["gateway.public.views.screens"], broken, fail)
    answer = person.get("/leave")
    assert (answer.status_code, answer.location) == (303, "https://www.bbc.co.uk/weather#")
    assert "__Host-journey=;" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("fault", ["locked", "missing"])
def test_leave_leaves_even_when_the_storage_is_down(public: PublicHouse, fault: str):
    person = person_with_words(public)
    with public.broken(fault):
        answer = person.get("/leave")
    assert answer.status_code == 303
    assert "__Host-journey=;" in answer.headers["Set-Cookie"]


def test_leave_does_not_wait_for_a_busy_disk_and_wipes_when_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    public = make_public_house(tmp_path, lock_timeout_seconds=5)
    person = person_with_words(public)
    waited: list[float | None] = []
    join = threading.Thread.join

    def note(thread: threading.Thread, timeout: float | None = None) -> None:
        waited.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", note)
    with public.broken("locked"):
        answer = person.get("/leave")
        assert len(public.house.rows("drafts")) == 1
    assert answer.status_code == 303
    # Had the answer waited for the disk, the wipe would have given up by now, and the row would stay.
    assert public.wait_for_no_drafts()
    assert waited == [WIPE_WAIT_SECONDS]
    assert WIPE_WAIT_SECONDS <= 0.15  # half of the bar, which is off our page within 300 ms


def test_leave_after_send_wipes_the_record_too(public: PublicHouse):
    person = public.person().start().walk_to("/14").send()
    person.get("/leave")
    assert public.house.rows("drafts") == []
    assert len(public.house.rows("reports")) == 1
