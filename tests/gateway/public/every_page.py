"""Every page that the form shows, by a name, as a person without script gets it: on each way, refused, and after it."""

from pathlib import Path
from unittest import mock

from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from gateway.public.door import SIDE_PATHS
from gateway.public.journey import FIELD_BY_NAME
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import (
    SHORT_ANSWERS,
    Person,
    list_answers,
    wants_more,
)
from tests.gateway.public.return_builders import WRONG_WORDS, post_reply, read_numbers
from tests.gateway.public.walks import ADULT, ALL_WAYS, ScreenAnswers

# What cannot be left blank (the story neither, where no box is ticked: see the test of the journey).
ASKED_AGAIN = ("/3", "/4", "/5", "/6", "/11", "/12")
MARKER = "My very own words"
# Danger, self-harm, and a person who cannot call: the longest blocks of the thank-you page.
URGENT: dict[str, ScreenAnswers] = {
    "hurting": SHORT_ANSWERS | {"/3": {"danger": "yes"}, "/3a": {"called": "carry_on"}, "/9a": {"feels": "hurting"}},
    "cannot call": ADULT | {"/3": {"danger": "yes"}, "/3a": {"called": "cannot_call"}},
}

Pages = dict[str, TestResponse]


def walk_all_pages(public: PublicHouse, language: str = "en", *, origin: str = PUBLIC_ORIGIN) -> Pages:
    """Return every page of every way, error pages and side pages too."""
    person = public.person(language=language, origin=origin)
    pages = {}
    for path in ("/", *(f"/{side}" for side in SIDE_PATHS.values()), "/nothing-here"):
        person.get(path)
        pages[path] = person.page
    for way in ALL_WAYS:
        _walk(public.person(language=language, origin=origin).start(), way, pages)
    return pages


def _walk(person: Person, way: ScreenAnswers, pages: Pages) -> None:
    while person.path != "/14" or (wants_more(way) and not person.has_said_more):
        path = person.path
        pages[path] = person.page
        if path in ASKED_AGAIN:
            person.press(**dict.fromkeys(way[path], ""))
            pages[f"{path} error"] = person.page
        if path == "/12":
            person.press(contact_ways=["adult", "school", "call", "text", "email"])
            pages["/12 more errors"] = person.page
        person.press(**list_answers(path, way))
    pages["/14"] = person.page
    person.send()
    pages["/15"] = person.page


def list_too_long(public: PublicHouse, language: str = "en", *, origin: str = PUBLIC_ORIGIN) -> Pages:
    """Return the refusals of a story, and of many lines, that are too long."""
    pages = {}
    for path, names in (("/9", ("story",)), ("/12", ("adult", "school", "phone", "email"))):
        person = public.person(language=language, origin=origin).start().walk_to(path)
        texts = {name: "x " * (FIELD_BY_NAME[name].max_characters // 2) + "xx" for name in names}
        person.press(contact_ways=["adult", "school", "call", "email"], **texts)
        assert person.path == path
        pages[f"{path} too long"] = person.page
    return pages


def list_afterwards(public: PublicHouse, language: str = "en", *, origin: str = PUBLIC_ORIGIN) -> Pages:
    """Return the pages from the thank-you page to an answer that was read, and to an addition."""
    pages = {}
    for name, way in URGENT.items():
        person = public.person(language=language, origin=origin).start().walk_to("/14", way).send()
        pages[f"/15 {name}"] = person.page
    person = public.person(language=language, origin=origin).start().walk_to("/14", ADULT).send()
    reference, words = read_numbers(person)
    person.press("ok:yes")
    pages["/15 of an opinion"] = person.page
    report = public.reports()[-1]
    pages["/16"] = person.get("/16")
    person.press(reference=reference, words_typed=WRONG_WORDS)
    pages["/16 error"] = person.page
    person.press(reference=reference, words_typed=words)
    pages["/17"] = person.page
    post_reply(public, report, reference)
    person.get("/16")
    person.press(reference=reference, words_typed=words)
    pages["/17 with an answer"] = person.page
    person.press("add")
    for name, answers in (("/3", {"danger": "no"}), ("/9", {"story": "More happened."})):
        pages[f"{name} added"] = person.page
        person.press(**answers)
    pages["/14 added"] = person.page
    pages["/15 added"] = person.send().page
    return pages


def list_unusual(public: PublicHouse, language: str = "en", *, origin: str = PUBLIC_ORIGIN) -> Pages:
    """Return the pages of unusual turns, by the name of their words; each holds the words that were typed, if any."""

    def make(path: str = "/9") -> Person:
        return public.person(language=language, origin=origin).start().walk_to(path)

    pages: Pages = {}
    typed = {"story": MARKER}
    person = make()
    with Path(__file__).open("rb") as file:
        person.post("/9", MultiDict({"story": MARKER, "file": file}))
    pages["files"] = person.page
    person.post("/9", person.fill({"story": MARKER * 20_000}))
    pages["too_big"] = person.page
    first = make()
    old_tab = first.fill({"story": "What the other tab said."})
    first.press(**typed)
    first.post("/9", old_tab)
    pages["stale"] = first.page
    for name, keeps_cookies in (("again", True), ("no_cookies", False)):
        person = public.person(language=language, origin=origin, keeps_cookies=keeps_cookies)
        person.post("/9", make().fill(typed))  # of a visit whose cookie is lost
        if not keeps_cookies:
            person.post("/9", person.fill({}))
        pages[name] = person.page
    person, other = make(), public.person(language=language, origin=origin)
    with mock.patch.object(public.gateway.limits, "is_over", lambda name, subject=None: name != "public-wait"):
        person.press(**typed)
        pages["slow"] = person.page
        other.get("/16")
        other.press(words_typed=MARKER)
        pages["slow at the way back"] = other.page
        other.get("/")
        other.press("start")
        pages["slow at the start"] = other.page
    person, checked, sent = make(), make("/14"), make("/14")
    answer = sent.client.post("/14", base_url=origin, data=sent.fill({}, "send"))
    with public.broken("missing"):
        person.press(**typed)
        pages["not_stored"] = person.page
        pages["thanks_later"] = sent.get(answer.location)
        person.get("/16")
        person.press(reference="C5H6-6S35C-3", words_typed=WRONG_WORDS)
        pages["not_ready at the way back"] = person.page
    with public.broken("no-key"):
        checked.press("send")
        pages["not_stored at the end"] = checked.page
        pages["not_ready"] = public.person(language=language, origin=origin).get("/")
    person = make()
    public.house.clock.advance(hours=2)
    person.press(**typed)
    pages["expired"] = person.page
    return pages
