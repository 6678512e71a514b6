"""Limits flag and slow down, and never drop a report; one network closes the form to no other."""

from pathlib import Path

import pytest
from limits.storage import MemoryStorage
from werkzeug.datastructures import MultiDict

from gateway.config import LimitsConfig
from gateway.keys import derive_limit_secret, read_receipt_key
from gateway.limits import QUEUE_SECONDS, SLOW_SECONDS
from gateway.web.callers import SLOTS, BucketHasher
from tests.gateway.public.fixtures import PublicHouse, make_public_house, put_over
from tests.gateway.public.person import SHORT_ANSWERS, Person, read_form, read_title
from tests.gateway.public.return_builders import read_numbers

MARKER = "These are my own words."


def test_send_over_the_limit_waits_with_its_words_and_is_then_flagged_and_stored(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person().start().walk_to("/14", p9={"story": MARKER})
    public.house.clock.advance(minutes=5)
    put_over(public, monkeypatch, "public-send")
    for _ in range(2):  # the second was pressed at once
        person.send()
        assert (person.page.status_code, person.path) == (429, "/14")
        assert "Wait a few seconds" in person.text()
        assert MARKER in person.text()
    assert public.reports() == []
    public.house.clock.advance(seconds=5)
    person.send()
    assert read_title(person.page) == "We have got what you sent"
    assert public.reports()[0].signals == ("limited",)
    assert len(read_numbers(person)) == 2


def press_without_cookie(public: PublicHouse, path: str, form: MultiDict[str, str]) -> Person:
    """Post a form into a browser that has no cookie yet, as after its cookies were wiped."""
    person = public.person()
    person.post(path, form)
    return person


@pytest.mark.parametrize("path", ["/9", "/14"])
def test_page_that_lost_its_cookie_counts_as_a_start_and_waits_over_the_limit(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch, path: str
):
    former = public.person().start().walk_to(path, p9={"story": MARKER})
    form = former.fill({"story": MARKER} if path == "/9" else {}, "continue" if path == "/9" else "send")
    put_over(public, monkeypatch, "public-start")
    person = press_without_cookie(public, path, form)
    action = form["action"]
    assert (person.page.status_code, "Wait a few seconds" in person.text()) == (429, True)
    person.press(action)
    assert person.page.status_code == 429  # pressed at once
    assert "journey" not in public.session_of(person)
    public.house.clock.advance(seconds=5)
    person.press(action)
    assert "Press the button one more time" in person.text()
    assert MARKER in person.text()
    person.press(action)
    assert person.path == ("/9a" if path == "/9" else "/15")


def test_start_and_page_that_lost_its_cookie_are_counted_for_one_network(public: PublicHouse):
    form = public.person().start().walk_to("/14").fill({}, "send")
    with public.app.test_request_context("/", environ_overrides={"REMOTE_ADDR": "127.0.0.1"}):
        assert not any(public.gateway.limits.is_over("public-start") for _ in range(297))
    assert public.person().start().path == "/2"
    assert [press_without_cookie(public, "/14", form).page.status_code for _ in range(2)] == [400, 429]
    late = public.person()
    late.get("/")
    late.press("start")
    assert late.path == "/"


def test_step_over_the_limit_waits_a_few_seconds_with_its_words(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person().start().walk_to("/9")
    put_over(public, monkeypatch, "public-step")
    person.press(story=MARKER)
    assert person.page.status_code == 429
    assert "Wait a few seconds" in person.text()
    assert "/s/back." not in person.text()  # with an entry of the script's own, a reload would not post the words again
    assert read_form(person.page)["story"] == MARKER
    assert "tel:999" in person.text()
    person.press()
    assert person.page.status_code == 429  # pressed at once
    public.house.clock.advance(seconds=5)
    person.press()
    assert person.path == "/9a"
    person.press(feels="scared")
    assert person.path == "/11"  # who has waited is not asked again at every step


def copy_browser(public: PublicHouse, person: Person) -> Person:
    """Return another browser with a person's cookies, which shows the same page."""
    other = public.person()
    other.cookie = person.cookie
    other.page, other.path = person.page, person.path
    return other


def test_wait_starts_one_journey_however_often_its_cookie_is_posted(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person()
    person.get("/")
    put_over(public, monkeypatch, "public-start")
    person.press("start")
    assert person.page.status_code == 429
    public.house.clock.advance(seconds=5)
    copies = [copy_browser(public, person) for _ in range(4)]
    for one in copies:
        one.press("start")
    assert [one.path for one in copies] == ["/2", "/", "/", "/"]
    assert [one.page.status_code for one in copies] == [200, 429, 429, 429]


def test_cookie_that_was_copied_while_it_waited_does_not_know_the_journey_that_follows(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    stranger = public.person()
    stranger.get("/")
    with pytest.MonkeyPatch.context() as patch:
        put_over(public, patch, "public-start")
        stranger.press("start")
    public.house.clock.advance(seconds=5)
    child = copy_browser(public, stranger)
    for one in (child, stranger):
        one.press("start")
        assert one.path == "/2"
    assert public.secret_of(child) != public.secret_of(stranger)


def test_wait_at_a_step_lets_that_journey_walk_on_and_nothing_else(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    person = public.person().start().walk_to("/4")
    put_over(public, monkeypatch, "public-step", "public-start", "public-return", "public-send")
    person.press(age="13_15")
    public.house.clock.advance(seconds=5)
    person.press()
    assert person.walk_to("/14").path == "/14"
    person.send()
    assert person.page.status_code == 429
    for path, action in (("/", "start"), ("/16", "continue")):
        other = copy_browser(public, person)
        other.get(path)
        other.press(action)
        assert other.page.status_code == 429


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


def test_records_of_what_was_sent_close_the_form_to_nobody(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows=2)
    for _ in range(3):
        public.person().start().walk_to("/14").send()
    assert {row[4] for row in public.house.rows("drafts")} == {"sent"}
    assert public.person().start().walk_to("/4").path == "/4"


class StoreThatIsGone(MemoryStorage):
    """A limiter store that does not answer."""

    STORAGE_SCHEME = ["gone"]  # noqa: RUF012 - the library's own way to register a store
    calls = 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fail as a store does that went away."""
        type(self).calls += 1
        raise ConnectionError("the store is gone")

    def check(self) -> bool:
        """Report that it is down."""
        return False


def test_limiter_store_down_still_takes_reports(tmp_path: Path):
    public = make_public_house(tmp_path, limits=LimitsConfig(storage_uri="gone://"))
    person = public.person().start().walk_to("/14", p9={"story": MARKER}).send()
    assert read_title(person.page) == "We have got what you sent"
    assert public.reports()[0].story == MARKER
    assert StoreThatIsGone.calls > 0


def find_other_network(public: PublicHouse) -> str:
    """Return an address whose network has another slot than that of everybody else here: two in 4,096 share one."""
    hasher = BucketHasher(derive_limit_secret(read_receipt_key(public.house.state)), clock=public.gateway.clock)
    addresses = (f"198.51.{number}.7" for number in range(100))
    return next(one for one in addresses if hasher.pick_slot(one) != hasher.pick_slot("127.0.0.1"))


def test_network_that_fills_its_share_of_drafts_closes_the_form_to_no_other_network(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows=6, drafts_max_rows_per_network=3)
    waiting = public.person().start().walk_to("/3")  # before its first answer
    flood = [public.person().start().walk_to("/4", p9={"story": MARKER}) for _ in range(3)]
    for _ in range(5):
        more = public.person()
        more.get("/")
        more.press("start")
        assert (more.page.status_code, "tel:08001111" in more.text()) == (503, True)
    waiting.press(danger="yes")
    assert (waiting.page.status_code, read_form(waiting.page)["danger"]) == (503, "yes")
    other = public.person(address=find_other_network(public)).start().walk_to("/14")
    other.send()
    assert read_title(other.page) == "We have got what you sent"
    flood[0].walk_to("/14").send()  # what was begun is sent, and gives its place back
    assert read_title(flood[0].page) == "We have got what you sent"
    waiting.press()
    assert waiting.path == "/3a"


def test_draft_names_no_network_and_a_record_of_send_not_even_its_slot(public: PublicHouse):
    person = public.person(address="203.0.113.77").start().walk_to("/4")
    (row,) = public.house.rows("drafts")
    hasher = BucketHasher(derive_limit_secret(read_receipt_key(public.house.state)), clock=public.gateway.clock)
    assert row[5] == hasher.pick_slot("203.0.113.77") < SLOTS == 4096
    others = (f"10.{number // 250}.{number % 250}.1" for number in range(60_000))
    assert any(hasher.pick_slot(one) == row[5] for one in others)  # one of some 4,000 networks in the slot
    person.walk_to("/14").send()
    assert [row[4:] for row in public.house.rows("drafts")] == [("sent", None)]


def test_ipv6_network_has_one_share_however_many_subnets_it_has(tmp_path: Path):
    public = make_public_house(tmp_path, drafts_max_rows_per_network=2)
    people = [public.person(address=f"2001:db8:7:{number:x}::1") for number in range(3)]
    for person in people:
        person.get("/")
        person.press("start")
        person.walk_to_next()
        person.press(danger="no")
    assert [person.page.status_code for person in people] == [200, 200, 503]


def wait_to_start(public: PublicHouse, number: int, *, address: str = "127.0.0.1") -> list[Person]:
    """Return this many people of one network, each asked to wait before their start."""
    people = [public.person(address=address) for _ in range(number)]
    for person in people:
        person.get("/")
        person.press("start")
        assert (person.page.status_code, "tel:08001111" in person.text()) == (429, True)
    return people


def press_again(people: list[Person]) -> int:
    """Let all press Start again; return how many came in."""
    for person in people:
        if person.path == "/":
            person.press("start")
    return sum(person.path == "/2" for person in people)


def test_waits_of_one_network_are_served_one_after_the_other_and_not_all_at_once(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    put_over(public, monkeypatch, "public-start")
    flood = wait_to_start(public, 12)
    (other,) = wait_to_start(public, 1, address="198.51.100.7")
    came_in = []
    for _ in range(14):
        public.house.clock.advance(seconds=1)
        came_in.append(press_again(flood))
    assert came_in == [0, 0, *range(1, 13)]
    assert press_again([other]) == 1


def test_queue_of_waits_is_bounded_and_nobody_in_it_loses_the_turn(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
):
    put_over(public, monkeypatch, "public-start")
    flood = wait_to_start(public, QUEUE_SECONDS + 20)
    public.house.clock.advance(seconds=QUEUE_SECONDS)
    assert press_again(flood) == QUEUE_SECONDS - SLOW_SECONDS + 1
    public.house.clock.advance(seconds=QUEUE_SECONDS)  # those without a turn were given one when they pressed
    assert press_again(flood) == len(flood)


def test_steps_and_send_never_wait_behind_the_starts_of_strangers(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person().start().walk_to("/9")
    put_over(public, monkeypatch, "public-start", "public-step", "public-send")
    wait_to_start(public, QUEUE_SECONDS + 5)
    for path, action in (("/9", "continue"), ("/14", "send")):
        assert person.walk_to(path).path == path
        person.press(action, **({"story": MARKER} if path == "/9" else {}))
        assert (person.page.status_code, person.path) == (429, path)
        public.house.clock.advance(seconds=SLOW_SECONDS)
        person.press(action)
        assert (person.page.status_code, person.path == path) == (200, False)
    assert read_title(person.page) == "We have got what you sent"


def test_journey_that_waited_walks_on_no_faster_than_a_person(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person().start().walk_to("/9")
    put_over(public, monkeypatch, "public-step")
    person.press(story=MARKER)
    public.house.clock.advance(seconds=SLOW_SECONDS)
    statuses = []
    for _ in range(80):
        person.path, form = "/9", person.fill({"story": MARKER})
        person.post("/9", form)
        statuses.append(person.page.status_code)
        person.path = "/9"
        if person.page.status_code == 200:
            person.press("back")
    assert 429 in statuses
    assert statuses[:25] == [200] * 25


def test_class_of_thirty_behind_one_address_is_never_slowed(public: PublicHouse):
    pupils, rows = 30, public.gateway.limits.rows
    assert rows["public-send"].quota >= 2 * pupils
    assert rows["public-step"].quota >= 6 * pupils * len(SHORT_ANSWERS)  # six classes at once
