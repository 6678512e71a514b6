"""Traces of a person at the form, beside the words: log lines, the cookie, ids, deleted drafts."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.housekeeping import clean_store
from gateway.public import BLUEPRINT
from gateway.public.door import SIDE_PATHS
from gateway.public.journey import SCREENS, list_path
from gateway.public.visit import VisitState, find_state, make_state_key, seal_state
from gateway.web.rules import find_rule
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, list_files
from tests.gateway.public.walks import LONG_WAY, flatten
from tests.gateway.web_builders import LogCatcher

# The same for everybody, whatever was answered.
OWN_NAMES = {f"{BLUEPRINT}.{name}" for name in ("leave", "show_file", "show_manifest")}
NAMES = [screen.name.encode() for screen in SCREENS if len(screen.name) > 3] + [b"example-chat"]
TYPED = {"p9": {"story": "A few words."}}


def read_cookie(public: PublicHouse, person: Person) -> bytes:
    """Return everything that a holder of the cookie can read of it, without any key."""
    cookie = person.client.get_cookie(public.app.config["SESSION_COOKIE_NAME"], domain="report.example")
    assert cookie is not None
    payload = cookie.value.split(".")[0]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


def boxes_of(public: PublicHouse) -> set[bytes]:
    return {row[3] for row in public.house.rows("drafts")}


def files_with(public: PublicHouse, boxes: set[bytes]) -> list[Path]:
    # Pages cut a box into pieces: a few bytes of its end are enough to know it again.
    return [path for path in list_files(public.house.state) if any(box[-64:] in path.read_bytes() for box in boxes)]


def test_log_does_not_tell_which_page_was_asked_for(public: PublicHouse):
    with LogCatcher() as log:
        person = public.person().start()
        person.walk_to("/14", LONG_WAY, **TYPED).send()
        for path in SIDE_PATHS.values():
            person.get(f"/{path}")
        person.get("/leave")
        person.get("/s/nothing.css")
        person.get("/health")
        person.post("/3", person.fill({}))  # fails its token
    routes = [line["route"] for line in log.lines if line["event"] == "request"]
    assert len(routes) > 30
    assert set(routes) == {"journey", "/leave", "/s/<name>", "/health"}
    telling = {name for screen in SCREENS for name in (screen.path, screen.name) if name}
    telling = {name for name in telling if not name.isdecimal()}
    telling |= {name for side in SIDE_PATHS.items() for name in side}
    values = [str(value).replace("/s/<name>", "") for line in log.lines for value in line.values()]
    said = {word for value in values for word in re.findall(r"\w+", value)}
    assert len(telling) > 50
    assert telling & said == set()


def test_every_page_of_the_form_has_the_same_log_word(public: PublicHouse):
    words = {
        route.endpoint: stated.log_word
        for route in public.app.url_map.iter_rules()
        if route.endpoint.startswith(f"{BLUEPRINT}.")
        if (stated := find_rule(public.app, route.endpoint)) is not None
    }
    assert len(words) > 20
    assert {endpoint for endpoint, word in words.items() if word != "journey"} == OWN_NAMES


def test_cookie_tells_neither_page_nor_button(public: PublicHouse):
    sizes = set()
    for link in ("/", "/?from=example-chat"):
        person = public.person()
        person.get(link)
        assert b"example-chat" not in read_cookie(public, person)
        person.press("start")
        for screen in list_path(flatten(LONG_WAY))[1:]:
            person.walk_to(f"/{screen.path}", LONG_WAY, **TYPED)
            shown = read_cookie(public, person)
            sizes.add(len(shown))
            assert not [name for name in NAMES if name in shown]
        assert set(public.session_of(person)) == {"journey", "csrf_token", "state"}
        person.send()
    assert len(sizes) == 1
    assert [report.placement for report in public.reports()] == [None, "example-chat"]


def test_state_of_another_gateway_or_an_altered_one_is_none():
    key, other = make_state_key(b"one"), make_state_key(b"other")
    fullest = VisitState(
        place="x" * 20,
        returns_to="x" * 20,
        language="cy",
        led_at=2**33,
        started_at=2**33,
        placement="x" * 40,
        turn_at=2**33,
        wait_mark=bytes(16),
        walks_mark=bytes(16),
    )
    box = seal_state(fullest, key=key, nonce=bytes(12))
    assert find_state(box, key=key) == fullest
    assert len(box) == len(seal_state(VisitState(), key=key, nonce=bytes(12)))
    assert find_state(box, key=other) is None
    assert find_state(box[:-1] + bytes([box[-1] ^ 1]), key=key) is None
    assert find_state(b"", key=key) is None


def test_report_id_does_not_tell_when_the_first_answer_was_saved(public: PublicHouse):
    ids = []
    for minutes in (0, 7):
        public.house.clock.advance(minutes=minutes)
        public.person().start().walk_to("/14").send()
        ids.append(public.reports()[-1].clear.report_id)
    times = {datetime.fromtimestamp(int(one.replace("-", "")[:12], 16) / 1000, UTC) for one in ids}
    assert times == {public.house.clock().replace(hour=0, minute=0, second=0, microsecond=0)}
    assert ids[0] != ids[1]


def test_wiped_and_sent_drafts_are_in_no_file_after_a_round(public: PublicHouse):
    boxes = set()
    for is_sent in (False, True):
        person = public.person().start().walk_to("/10", **TYPED)
        boxes |= boxes_of(public)
        if is_sent:
            person.walk_to("/14").send()
        else:
            person.get("/leave")
            assert public.wait_for_no_drafts()
    assert len(boxes) == 2
    assert files_with(public, boxes)
    assert clean_store(public.gateway.store, now=public.house.clock()).drafts == 0
    assert files_with(public, boxes) == []


def test_swept_draft_is_in_no_file_after_a_round(public: PublicHouse):
    public.person().start().walk_to("/10", **TYPED)
    boxes = boxes_of(public)
    assert files_with(public, boxes)
    clean_store(public.gateway.store, now=public.house.clock() + timedelta(hours=2))
    assert files_with(public, boxes) == []
