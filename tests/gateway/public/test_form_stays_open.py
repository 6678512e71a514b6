"""The form opens for everybody else while one network fills drafts, waits or rushes: each attack, repeated small."""

from pathlib import Path

import pytest

from gateway.keys import derive_limit_secret, read_receipt_key
from gateway.limits import QUEUE_SECONDS, SLOW_SECONDS
from gateway.web.callers import SLOTS, BucketHasher
from tests.gateway.public.fixtures import PublicHouse, make_public_house, put_over
from tests.gateway.public.person import SHORT_ANSWERS, Person, read_form, read_title

MARKER = "These are my own words."


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
    pupils = [public.person().start() for _ in range(30)]
    for pupil in pupils:
        assert pupil.walk_to("/14").path == "/14"
    pupils[-1].send()
    assert read_title(pupils[-1].page) == "We have got what you sent"
    rows = public.gateway.limits.rows
    assert rows["public-send"].quota >= 2 * len(pupils)
    assert rows["public-step"].quota >= 6 * len(pupils) * len(SHORT_ANSWERS)  # six classes at once
