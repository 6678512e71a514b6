"""Limits at the public door flag and slow down; they never drop a report, and never fail with their store."""

from pathlib import Path

import pytest
from limits.storage import MemoryStorage

from gateway.config import LimitsConfig
from gateway.limits import LimitState
from tests.gateway.public_fixtures import PublicHouse, make_public_house
from tests.gateway.public_person import read_form, read_title

MARKER = "These are my own words."


def put_over(public: PublicHouse, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the named limits answer that this network is over."""

    def state(name: str, *, subject: str | None = None) -> LimitState:
        return LimitState(name, name in names, 1, 600, 0, 600)

    monkeypatch.setattr(public.gateway.limits, "limit_state", state)


def test_send_over_the_limit_is_flagged_and_stored(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person().start().walk_to("/14")
    public.house.clock.advance(minutes=5)
    put_over(public, monkeypatch, "public-send")
    person.send()
    assert read_title(person.page) == "We have got what you sent"
    assert public.reports()[0].signals == ("limited",)


def test_step_over_the_limit_waits_a_few_seconds_with_its_words(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person().start().walk_to("/9")
    put_over(public, monkeypatch, "public-step")
    person.press(story=MARKER)
    assert person.page.status_code == 429
    assert "Wait a few seconds" in person.text()
    assert read_form(person.page)["story"] == MARKER
    assert "tel:999" in person.text()
    person.press()
    assert person.page.status_code == 429  # pressed at once
    public.house.clock.advance(seconds=5)
    person.press()
    assert person.path == "/10"
    person.press(person_names="Kit")
    assert person.path == "/11"  # who has waited is not asked again at every step


def test_start_over_the_limit_waits_too(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person()
    person.get("/")
    put_over(public, monkeypatch, "public-start")
    person.press("start")
    assert person.page.status_code == 429
    public.house.clock.advance(seconds=5)
    person.press("start")
    assert person.path == "/2"


@pytest.mark.parametrize("waits_at", ["/", "/4"])
def test_cookie_that_waited_starts_one_journey_however_often_it_is_posted(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch, waits_at: str
):
    person = public.person()
    person.get("/")
    start_form = person.fill({}, "start")
    if waits_at == "/4":
        person.press("start")
        person.walk_to("/4")
    put_over(public, monkeypatch, "public-start", "public-step")
    person.press()
    assert person.page.status_code == 429
    public.house.clock.advance(seconds=5)
    cookies, former = dict(person.client._cookies), {row[0] for row in public.house.rows("drafts")}
    made = set()
    for _ in range(4):
        other = public.person()
        other.client._cookies.update(cookies)
        other.post("/", start_form)
        assert other.path == "/2"
        other.press()
        other.press(danger="no")
        made |= {row[0] for row in public.house.rows("drafts")} - former
        # The journey that it leads to starts no further one without another wait.
        other.post("/", start_form)
        assert other.page.status_code == 429
    assert len(made) == 1


def test_start_is_refused_kindly_when_there_are_too_many_drafts(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows=2)
    first = public.person().start().walk_to("/14", p9={"story": MARKER})
    waiting = public.person().start().walk_to("/3")  # before its first answer
    public.person().start().walk_to("/4")
    late = public.person()
    late.get("/")
    late.press("start")
    assert (late.page.status_code, read_title(late.page)) == (503, "The form is not open right now")
    assert "Retry-After" in late.page.headers
    waiting.press(danger="yes")
    assert waiting.page.status_code == 503
    assert read_form(waiting.page)["danger"] == "yes"
    for person in (late, waiting):
        assert "The form is not open right now" in person.text()
        for number in ("tel:999", "tel:08001111"):
            assert number in person.text()
    assert len(public.house.rows("drafts")) == 2
    first.press("", change="9")
    first.press(story=f"{MARKER} And more.")
    first.send()
    assert read_title(first.page) == "We have got what you sent"
    first.get("/leave")
    waiting.press()
    assert waiting.path == "/3a"


def test_words_that_lost_their_cookie_are_sent_whatever_the_number_of_drafts(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows=1)
    form = public.person().start().walk_to("/14", p9={"story": MARKER}).fill({}, "send")
    fresh = public.person()
    fresh.post("/14", form)
    fresh.post("/14", fresh.fill({}, "send"))
    assert read_title(fresh.page) == "We have got what you sent"
    assert public.reports()[0].story == MARKER


def test_real_limit_counts_starts_of_one_network(public: PublicHouse):
    statuses = []
    for _ in range(302):
        person = public.person()
        person.get("/")
        person.press("start")
        statuses.append(person.path)
    assert statuses[:300] == ["/2"] * 300
    assert statuses[300:] == ["/", "/"]


class StoreThatIsGone(MemoryStorage):
    """A limiter store that does not answer."""

    STORAGE_SCHEME = ["gone"]  # noqa: RUF012 - the library's own way to register a store
    calls = 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fail as a store does that went away."""
        type(self).calls += 1
        raise ConnectionError("the store is gone")

    def check(self) -> bool:
        """Say that it is down."""
        return False


def test_limiter_store_down_still_takes_reports(tmp_path: Path):
    public = make_public_house(tmp_path, limits=LimitsConfig(storage_uri="gone://"))
    person = public.person().start().walk_to("/14", p9={"story": MARKER}).send()
    assert read_title(person.page) == "We have got what you sent"
    assert public.reports()[0].story == MARKER
    assert StoreThatIsGone.calls > 0
