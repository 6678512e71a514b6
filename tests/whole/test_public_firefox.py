"""Back and Leave in Firefox, in one browser for all tests: Chromium's have files of their own.

Back is pressed as a key at the screens of a short way here, and by history at every screen in Chromium: both ways at
every screen took Firefox three minutes of a core.
"""

from collections.abc import Mapping

import msgspec
import pytest

from gateway.public.journey import FIELD_BY_NAME
from tests.gateway.public.person import CHECK, NAMED_BUTTONS, SHORT_ANSWERS, list_answers
from tests.whole.browser_walk import BACK, CONTINUE, SEND, START
from tests.whole.public_server import PublicServer
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


def go_on(answers: Mapping[str, str | list[str]]) -> Step:
    """Press the button of a page that leads on."""
    named = [f"main button[name={name}][value={answers[name]}]" for name in NAMED_BUTTONS if name in answers]
    return "change", named[0] if named else CONTINUE


def list_way(server: PublicServer, way: Mapping[str, dict[str, str | list[str]]]) -> list[str]:
    """List the pages of a way up to the check page, in order, with the check page where it is passed."""
    person = server.public.person(origin=server.url).start()
    paths = [person.path]
    while person.path != CHECK or not person.has_said_more:
        person.press(**list_answers(person.path, way))
        paths.append(person.path)
    return paths


def test_back_by_key_from_every_screen_of_a_short_way_keeps_the_words(firefox: Firefox, server: PublicServer):
    paths = list_way(server, SHORT_ANSWERS)
    steps: list[Step] = [("change", START)]
    expected: list[tuple[str, dict[str, str]]] = []
    before = ""
    for path in paths:
        # Back leads from both to the last page that must be answered.
        previous = "/12" if before in {"/12", CHECK} and path in {CHECK, "/10"} else before
        if before:
            steps += [TOUCH, ("back by key", ""), LOOK, go_on(list_answers(previous, SHORT_ANSWERS)), LOOK]
            expected += [(previous, list_filled(SHORT_ANSWERS.get(previous, {}))), (path, {})]
        steps += [fill(list_answers(path, SHORT_ANSWERS)), go_on(list_answers(path, SHORT_ANSWERS))]
        before = path
    steps[-1] = ("change", SEND)
    sight = firefox.visit(Visit(server.url, tuple(steps)))
    assert len(sight.seen) == len(expected) == 2 * (len(paths) - 1)
    for (path, kept), (shown, fields) in zip(expected, sight.seen, strict=True):
        assert (shown, {name: fields.get(name) for name in kept}) == (path, kept)
    assert (sight.complaints, sight.address) == ([], f"{server.url}/15")
    assert len(server.public.reports()) == 1


def walk_to_story() -> list[Step]:
    """Walk from the first page to the story, type there, save it, return, and type on."""
    steps: list[Step] = [("change", START)]
    for path in ("/2", "/3", "/4", "/4b", "/6", "/7"):
        steps += [fill(SHORT_ANSWERS[path]), go_on(SHORT_ANSWERS[path])]
    typed = {"story": f"{STORY} And more."}
    return [*steps, fill({"story": STORY}), ("change", CONTINUE), ("change", BACK), LOOK, TOUCH, fill(typed)]


@pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
def test_nothing_is_shown_after_closing_leaving_restoring_and_a_new_visit(
    firefox: Firefox, server: PublicServer, *, has_script: bool
):
    restore: tuple[Step, ...] = (("restore", ""), LOOK_AT_WORDS)
    left: tuple[Step, ...] = (("change", "#leave"), LOOK_AT_WORDS)
    back: tuple[Step, ...] = (("back by key", ""), LOOK_AT_WORDS, ("back by history", ""), LOOK_AT_WORDS)
    new: tuple[Step, ...] = (("open", server.url), LOOK_AT_WORDS)
    # Without script Back leaves the form, as it always did; with script the test above presses it.
    steps = (*walk_to_story(), *(() if has_script else back), *restore, *walk_to_story(), *left, *back, *restore, *new)
    sight = firefox.visit(Visit(server.url, steps, has_script=has_script))
    looks = [look for look in sight.seen if not look[0].startswith("/")]
    stories = [look[1]["story"] for look in sight.seen if look[0] == "/9"]
    assert stories == [STORY, STORY]
    blank = "You can tell us here"
    assert [title for title, _ in looks] == [*[blank] * (1 if has_script else 3), "Elsewhere", *[blank] * 4]
    assert [words for _, words in looks if STORY in words] == []
    assert server.public.wait_for_no_drafts()
