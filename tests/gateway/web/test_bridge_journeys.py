"""A form in progress goes on beside any load of the same network."""

import asyncio
import html
import threading
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.public.wording import load_wording
from gateway.web.callers import MOST_AFTER_REFUSALS, REFUSALS_ALLOWED, REFUSALS_OF_A_JOURNEY
from gateway.web.rules import REFUSED
from gateway.web.server_process import make_journey_finder
from gateway.web.web_app import CookieSerializer, Session
from gateway.web.wsgi_bridge import OPENED_SESSION, WsgiBridge, drop_headers
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_form
from tests.gateway.web.bridge_builders import FORM, Call, call_all, hold, make_bridge, serve
from tests.gateway.web_builders import FORM_BYTES

FLOOD = "203.0.113.9"


class School:
    """A public door where every request of the school without a cookie stands in a thread until it may go."""

    def __init__(self, public: PublicHouse) -> None:
        self.public = public
        self.may_go = threading.Event()
        self.standing = 0
        self._guard = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ.get("HTTP_X_STANDS") and REFUSED not in environ:
            with self._guard:
                self.standing += 1
            self.may_go.wait(20)
        return self.public.app(environ, start)

    def make_bridge(self) -> WsgiBridge:
        bridge = make_bridge(self.public.app, threads=8)
        bridge._app = self
        return bridge

    def cookie_of(self, person: Person) -> bytes:
        """Return the Cookie header of a person's browser."""
        name = self.public.app.config["SESSION_COOKIE_NAME"]
        cookie = person.client.get_cookie(name, domain="report.example")
        assert cookie is not None
        return f"{name}={cookie.value}".encode()


STANDS = (b"x-stands", b"1")


def post_step(person: Person, cookie: bytes, **typed: str) -> Call:
    """Return the post of the form that a person's page shows, from the school."""
    fields = read_form(person.page)
    for name, value in typed.items():
        fields[name] = value
    body = urlencode(list(fields.items(multi=True))).encode()
    path = person.path.encode()
    return Call(path=path, headers=(*FORM, (b"cookie", cookie)), length=len(body), pieces=(body,), address=FLOOD)


def test_class_keeps_sending_while_one_pupil_floods_with_refused_posts_from_the_same_address(
    public: PublicHouse,
) -> None:
    school = School(public)
    bridge = school.make_bridge()
    pupils = [public.person_at("/9") for _ in range(3)]
    for _ in range(REFUSALS_ALLOWED + 1):
        assert serve(bridge, Call(path=b"/", headers=FORM, address=FLOOD)).status == 400
    flood = [Call(path=b"/", headers=(*FORM, STANDS), address=FLOOD) for _ in range(60)]
    sent = [post_step(pupil, school.cookie_of(pupil), story=f"What happened to {pupil.path}") for pupil in pupils]
    read = [Call(method="GET", path=b"/1b", headers=((b"cookie", school.cookie_of(one)),)) for one in pupils * 5]
    for one in (*flood, *sent, *read):
        one.address, one.pieces = FLOOD, iter(one.pieces)

    async def run() -> None:
        waiting = asyncio.create_task(call_all(bridge, flood))
        while school.standing < MOST_AFTER_REFUSALS or sum(bool(call.sent) for call in flood) < 40:
            await asyncio.sleep(0.001)
        try:
            await asyncio.wait_for(call_all(bridge, [*sent, *read]), 15)
        finally:
            school.may_go.set()
            await waiting

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert [one.status for one in sent] == [303] * 3
    assert {one.status for one in read} == {200}


def test_made_up_or_foreign_cookie_takes_nobody_past_the_throttle(public: PublicHouse) -> None:
    school = School(public)
    good = school.cookie_of(public.person_at("/9"))
    finder = make_journey_finder(public.app)

    def find(cookies: str) -> bytes | None:
        return finder({"HTTP_COOKIE": cookies})

    assert find(good.decode()) is not None
    assert find(f"other=1; {good.decode()}") == find(good.decode())
    name = good.partition(b"=")[0]
    foreign = CookieSerializer(b"x" * 32).dumps({"journey": b"j" * 32}).encode()
    unbegun = CookieSerializer(public.app.config["SECRET_KEY"]).dumps({"csrf_token": "x"}).encode()
    for made_up in (b"", good[:-2], name + b"=", name + b"=\xff", name + b"=" + foreign, name + b"=" + unbegun):
        assert find(made_up.decode("latin-1")) is None
    bridge = school.make_bridge()
    for _ in range(REFUSALS_ALLOWED + 1):
        headers = (*FORM, (b"cookie", name + b"=" + foreign))
        assert serve(bridge, Call(path=b"/3", headers=headers, address=FLOOD)).status in {400, 429}
    network = bridge._networks.name_caller({"REMOTE_ADDR": FLOOD})
    assert bridge._turns.strangers.is_refused_often(network)


def test_cookie_is_opened_once_for_the_turn_and_for_the_page(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School(public)
    bridge = school.make_bridge()
    pupils = [public.person_at("/9"), public.person_at("/9")]
    opened: list[str] = []
    loads = CookieSerializer.loads

    def count(self: CookieSerializer, value: str, *, max_age: int | None = None) -> Session:
        opened.append(value)
        return loads(self, value, max_age=max_age)

    monkeypatch.setattr(CookieSerializer, "loads", count)
    cookies = [school.cookie_of(pupil) for pupil in pupils]
    sent = [post_step(one, cookie, story="It began.") for one, cookie in zip(pupils, cookies, strict=True)]
    serve(bridge, *sent)
    assert [one.status for one in sent] == [303, 303]
    assert sorted(opened) == sorted(cookie.decode().partition("=")[2] for cookie in cookies)


def test_journey_that_is_refused_often_stands_with_the_strangers_and_no_other_one_does(public: PublicHouse) -> None:
    school = School(public)
    bridge = school.make_bridge()
    pupil, other = (
        bridge._name_caller({"REMOTE_ADDR": FLOOD, "PATH_INFO": "/9", "HTTP_COOKIE": one.decode()})
        for one in (school.cookie_of(public.person_at("/9")) for _ in range(2))
    )
    for _ in range(REFUSALS_OF_A_JOURNEY + 1):
        assert bridge._turns.find_begun(pupil) is not None
        bridge._turns.count_refusal(pupil)
    assert bridge._turns.find_begun(pupil) is None
    assert bridge._turns.find_begun(other) is not None
    for _ in range(REFUSALS_ALLOWED + 1):
        bridge._turns.count_refusal(pupil)
    assert bridge._turns.strangers.is_refused_often(pupil.network)


def test_slow_bodies_of_strangers_leave_room_for_those_who_have_begun(public: PublicHouse) -> None:
    school = School(public)
    pupil = public.person_at("/9")
    bridge = make_bridge(public.app, seconds=0.5, room_bytes=8 * FORM_BYTES, is_shared=True)
    flood = [hold(FLOOD, path=b"/3", headers=FORM, length=FORM_BYTES) for _ in range(3)]
    sent = post_step(pupil, school.cookie_of(pupil), story="It began last week.")
    serve(bridge, *flood, sent)
    assert [call.status for call in flood] == [408, 503, 503]
    assert sent.status == 303


def test_busy_answer_to_a_form_says_that_loading_it_again_sends_it(public: PublicHouse) -> None:
    school = School(public)
    bridge = school.make_bridge()
    for _ in range(REFUSALS_ALLOWED + 1):
        serve(bridge, Call(path=b"/", headers=FORM, address=FLOOD))
    gets = [Call(method="GET", path=b"/", headers=(STANDS,), address=FLOOD) for _ in range(30)]
    posts = [Call(path=b"/", headers=(*FORM, STANDS), address=FLOOD) for _ in range(30)]

    async def run() -> None:
        waiting = asyncio.create_task(call_all(bridge, [*gets, *posts]))
        while sum(bool(call.sent) for call in posts) < 30:
            await asyncio.sleep(0.001)
        school.may_go.set()
        await waiting

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    page = load_wording("en").page("busy")
    for call in posts:
        assert (call.status, "clear-site-data" in call.answer_headers) == (503, False)
        assert page["title"] in call.body.decode()
        assert b"We do not have what you wrote" not in call.body
        assert b"<form" not in call.body  # no button that leads away from what the browser would send again
    refused = [call for call in gets if call.status == 503]
    assert refused
    assert page["title"] not in refused[0].body.decode()
    # Made once for everybody, and so in both languages: nobody's wish is looked at in a flood.
    for call, name in ((posts[0], "busy"), (refused[0], "not_ready")):
        said = html.unescape(call.body.decode())
        welsh = said[said.index('<section lang="cy">') : said.index("</section>")]
        words = load_wording("cy").page(name)
        assert [text for text in (words["title"], *words["lead"]) if text not in welsh] == []
        assert "Mewn perygl nawr? Ffonio 999" in welsh


def test_answer_made_for_everybody_has_no_session_of_a_caller(public: PublicHouse) -> None:
    school = School(public)
    cookie = school.cookie_of(public.person_at("/9")).decode()
    environ: dict[str, object] = {"REMOTE_ADDR": FLOOD, "PATH_INFO": "/9", "HTTP_COOKIE": cookie}
    school.make_bridge()._name_caller(environ)
    assert OPENED_SESSION in environ
    assert drop_headers(environ) == {"REMOTE_ADDR": FLOOD, "PATH_INFO": "/9"}
