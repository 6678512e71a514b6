"""Back and Leave in Firefox, in one browser for all tests: Chromium's have files of their own.

Only the pages that a test presses something on are opened here: a page costs Firefox a quarter of a second of a core.
"""

from collections.abc import Mapping
from itertools import cycle

import msgspec
import pytest

from gateway.public.journey import FIELD_BY_NAME
from tests.gateway.public.person import CHECK, NAMED_BUTTONS, SHORT_ANSWERS, SHORT_STORY, list_answers
from tests.gateway.public.walks import ScreenAnswers
from tests.whole.browser_walk import BACK, CONTINUE, SEND, START
from tests.whole.public_server import PublicServer
from tests.whole.test_phone_interview import PATHS, SHOWN
from tests.widget.browsers import Firefox, Step, Visit

# The name of a field, or of an option with its code, e.g. `kinds-bullying`.
KEY = "part => ['radio', 'checkbox'].includes(part.type) ? `${part.name}-${part.value}` : part.name"
STORY = "My very own words."
# The path, and every field with what it holds or that it is picked.
LOOK: Step = (
    "look",
    f"""() => [location.pathname, Object.fromEntries([...document.querySelectorAll('main .field [name]')]
      .filter(part => !['radio', 'checkbox'].includes(part.type) || part.checked)
      .map(part => [({KEY})(part), part.value]))]""",
)
# What a person sees, could read out of a field, or could find in the store of the browser.
LOOK_AT_WORDS: Step = (
    "look",
    """() => [document.title, [document.documentElement.outerHTML, JSON.stringify({...localStorage, ...sessionStorage}),
      ...[...document.querySelectorAll('input, textarea')].map(part => part.value)].join(' ')]""",
)
TOUCH: Step = ("tap", "h1")
# Start leads to the form on the phone, which asks for a visit, or to the plain way in a Firefox that cannot sign.
BEGUN: Step = (
    "run",
    """async () => {
      const isAsked = () => performance.getEntriesByType('resource')
        .some(({ name, responseEnd }) => name.endsWith('/form/visit') && responseEnd)
      while (location.pathname === '/form' && !isAsked()) await new Promise(done => setTimeout(done, 20))
    }""",
)
FILL = f"""() => {{
  const parts = [...document.querySelectorAll('main .field [name]')]
  for (const [key, value] of Object.entries(%s)) {{
    const part = parts.find(one => ({KEY})(one) === key)
    if (['radio', 'checkbox'].includes(part.type)) part.checked = true
    else part.value = value
  }}
}}"""


def list_filled(answers: Mapping[str, str | list[str]]) -> dict[str, str]:
    """List the keys of the fields that answers fill or pick, each with its value."""
    filled = {}
    for name, value in answers.items():
        if name in NAMED_BUTTONS:
            continue
        for one in [value] if isinstance(value, str) else value:
            filled[f"{name}-{one}" if FIELD_BY_NAME[name].options else name] = one
    return filled


def fill(answers: Mapping[str, str | list[str]]) -> Step:
    """Fill in a page."""
    return "run", FILL % msgspec.json.encode(list_filled(answers)).decode()


def bring_to(server: PublicServer, path: str, way: ScreenAnswers) -> list[Step]:
    """Walk a way to the last time that it comes to `path` without a browser, and let Firefox follow the last redirect.

    From an open page of the form, because the page shows nothing to a browser that comes from anywhere else.
    """
    person = server.public.person(origin=server.url).start()
    while True:
        answers = list_answers(person.path, way)
        person.has_said_more |= "more" in answers
        led_to = person.post_only(**answers).location
        if led_to == path and (path != CHECK or person.has_said_more):
            break
        person.get(led_to)
    cookie = person.client.get_cookie(server.public.app.config["SESSION_COOKIE_NAME"], domain="127.0.0.1")
    assert cookie is not None
    kept = msgspec.json.encode({"name": cookie.key, "value": cookie.value}).decode()
    return [("cookie", kept), ("go", path)]


def list_way_back(server: PublicServer, way: ScreenAnswers) -> list[str]:
    """List the pages that Back leads to, from the last check page of a way to its first page."""
    person = server.public.person(origin=server.url).start()
    paths = [person.path]
    while person.path != CHECK or not person.has_said_more:
        person.press(**list_answers(person.path, way))
        paths.append(person.path)
    # From the first page of what is asked after the check page, Back leads to the last page before that one.
    return [path for path in paths if path != CHECK][::-1]


def test_back_from_each_screen_keeps_the_words_and_goes_one_screen_back(firefox: Firefox, server: PublicServer):
    # The long way is gone back in Chromium (test_form_browser.py): a page costs Firefox three times as much.
    paths = list_way_back(server, SHORT_ANSWERS)
    assert set(paths) > set(SHORT_ANSWERS)
    steps = bring_to(server, CHECK, SHORT_ANSWERS)
    for _, how in zip(paths, cycle(("back by key", "back by history")), strict=False):
        steps += [TOUCH, (how, ""), LOOK]
    sight = firefox.visit(Visit(server.url, (*steps, ("change", CONTINUE))))
    assert [path for path, _ in sight.seen] == paths
    for path, fields in sight.seen:
        kept = list_filled(SHORT_ANSWERS.get(path, {}))
        assert {name: fields.get(name) for name in kept} == kept, path
    # The form goes on from there: everything is answered.
    assert (sight.complaints, sight.address) == ([], f"{server.url}/14")


def walk_to_story(server: PublicServer) -> list[Step]:
    """Come to the story, type there, save it, return, and type on."""
    typed = {"story": f"{STORY} And more."}
    steps = [*bring_to(server, "/9", SHORT_ANSWERS), fill({"story": STORY}), ("change", CONTINUE)]
    return [*steps, ("change", BACK), LOOK, TOUCH, fill(typed)]


@pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
def test_nothing_is_shown_after_closing_leaving_restoring_and_a_new_visit(
    firefox: Firefox, server: PublicServer, *, has_script: bool
):
    restore: tuple[Step, ...] = (("restore", ""), LOOK_AT_WORDS)
    left: tuple[Step, ...] = (("change", "#leave"), LOOK_AT_WORDS)
    back: tuple[Step, ...] = (("back by key", ""), LOOK_AT_WORDS, ("back by history", ""), LOOK_AT_WORDS)
    new: tuple[Step, ...] = (("open", server.url), LOOK_AT_WORDS)
    story, again = (
        walk_to_story(server),
        [("change", START), BEGUN, *walk_to_story(server)],
    )  # Start ends the first visit
    # Without script Back leaves the form, as it always did; with script the test above presses it.
    steps = (*story, *(() if has_script else back), *restore, *again, *left, *back, *restore, *new)
    sight = firefox.visit(Visit(server.url, steps, has_script=has_script))
    looks = [look for look in sight.seen if not look[0].startswith("/")]
    stories = [look[1]["story"] for look in sight.seen if look[0] == "/9"]
    assert stories == [STORY, STORY]
    blank = "You can tell us here"
    assert [title for title, _ in looks] == [*[blank] * (1 if has_script else 3), "Elsewhere", *[blank] * 4]
    assert [words for _, words in looks if STORY in words] == []
    assert server.public.wait_for_no_drafts()


def wait_for(*conditions: str) -> Step:
    waiting = f"while (!({' && '.join(conditions)})) await new Promise(done => setTimeout(done, 20))"
    return "run", f"async () => {{ {waiting} }}"


def test_nothing_leaves_the_form_on_the_phone_before_send_and_then_one_request(firefox: Firefox, server: PublicServer):
    screens = {path: f"{SHOWN} === '{name}'" for name, path in PATHS.items()}
    asked = "performance.getEntriesByType('resource').map(one => one.name).join(' ')"
    look: Step = ("look", f"() => {asked}")
    # All of the document's own files come in any order while the first screen, which asks nothing, is still shown.
    own = [f"{asked}.includes('{name}')" for name in ("/form/visit", "/sealing", "/hill", "/icons")]
    steps = [("change", START), wait_for(*own), look]
    # A Firefox from before 129 cannot sign: Start leads it to the plain way, where no such screen ever comes.
    for path, answers in SHORT_ANSWERS.items():
        steps += [wait_for(screens[path]), fill(answers), ("tap", CONTINUE)]
    steps += [wait_for(screens[CHECK]), look, ("tap", SEND), wait_for(screens["/15"])]
    sight = firefox.visit(Visit(server.url, tuple(steps)))
    assert sight.seen[0] == sight.seen[1]
    called = [one.removeprefix(server.url) for one in sight.requests if "/s/" not in one]
    assert called == ["/", "/form", "/form/visit", "/form"]
    assert (sight.requests[-1], sight.complaints) == (f"{server.url}/form", [])
    assert [one.story for one in server.public.reports()] == [SHORT_STORY]
