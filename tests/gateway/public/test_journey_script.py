"""The script for the person's own phone: for 10,000 sets of answers it finds the same as the gateway's own code.

Both sides get the values as a page has them: Python through a post as a browser makes it, the script directly.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final, get_args

import msgspec
import pytest
from flask import Flask
from msgspec import structs

import gateway.public
from gateway.desk.collection.row_checks import assess
from gateway.exchange.public_codes import ADULT_BAND, AGE_BANDS
from gateway.exchange.public_report import encode_public_report
from gateway.guidance.advice import AUDIENCES, load_advice
from gateway.guidance.risk import Urgency
from gateway.public.journey import (
    CHECK,
    FIELD_BY_NAME,
    SCREEN_BY_NAME,
    SCREENS,
    THANKS,
    TYPED,
    Answers,
    Field,
    Screen,
    find_incomplete,
    get_next,
    get_priority,
    get_progress,
    keep_on_path,
    list_path,
    list_signposted,
    list_urgent,
    make_profile,
)
from gateway.public.journey.export import export_journey
from gateway.public.journey.screens import PRIORITY_RULES, URGENT_RULES
from gateway.public.sending import get_urgency, leave_out_what_does_not_fit, list_advice_codes, make_public_report
from gateway.public.views.screens import get_following
from gateway.public.visit import Draft
from partner_sdk.errors import FormatError
from tests.builders import NOW
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.phone_builders import make_said, name_phone
from tests.gateway.public.walks import LONG_WAY

CASES: Final = 10_000
SCRIPT: Final = Path(gateway.public.__file__).parent / "phone" / "journey.js"
DRIVER: Final = Path(__file__).with_name("journey_driver.mjs")
LIBRARY: Final = load_advice("en")
REPORT_ID: Final = "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18"
FACTS: Final = {
    "report_id": REPORT_ID,
    "environment": "live",
    "placement": "example-chat",
    "submitted_at": "2026-12-03T08:30:00Z",
    "reply_by": "2026-12-08",
    "reply_key": "A" * 1622,
    "copy_version": "2026-11",
    "language": "en",
    "context": None,
    "signals": [],
}
DRAFT: Final = Draft(report_id=REPORT_ID, started_at="", language="en")
APP: Final = Flask(__name__)
ASKING: Final = [screen for screen in SCREENS if screen.fields]
SPACES: Final = [chr(code) for code in range(0x3001) if chr(code).isspace()]
# What JSON and a form carry, and two languages treat apart: line ends, signs above U+FFFF, halves of them, blanks.
TEXTS: Final = (
    "[message]",
    *("\n", "[message]\nmore", "a\r\n\r\nb", "a\rb\n", "\r", "\u2028\u2029", "\x85", "\ufeff", "\u200b", "\x1c\x1d"),
    *("\U0001f642", "e\u0301 \u0175\u0177\u00e2", "\ud83d", "\ude42\ud83d", "a\ud800b", "\ud83d\ude42", "\u202e x"),
    *('"\\/\b\f\t\x00\x1f\x7f', "<b>&amp;</b>", "__proto__", " ", "yes", "\ue000\uffff"),
)


def make_text(random: Random, field: Field) -> str:
    """Return a text for a field; a few are about as long as the field takes, counted in different ways."""
    if random.random() < 0.92:
        return random.choice(TEXTS) if random.random() < 0.8 else random.choice(SPACES) * random.randrange(3)
    sign = random.choice(("a", "a", "\U0001f642", "\n", "\ud83d", "\x01"))
    return sign * max(
        0, field.max_characters // random.choice((1, 2) if sign == "\n" else (1,)) + random.choice((-1, 0, 1))
    )


def make_values(random: Random, field: Field) -> list[str]:
    """Return the posted values of a field: usually possible ones, else unknown or repeated ones, or several."""
    if field.kind in TYPED and random.random() < 0.01:
        return [make_said(random)[: field.max_characters]]
    if field.kind in TYPED:
        most = random.choices((0, 1, 2), (10 if field.required else 40, 55, 5))[0]
        return [make_text(random, field) for _ in range(most)]
    codes = field.options or ("fr", "us", "au", "other")
    most = min(3, len(codes)) if field.kind == "checkboxes" else 1
    is_answered = field.required and random.random() < 0.9
    picked = random.sample(codes, max(is_answered, random.choice((most, random.randint(0, most)))))
    if random.random() < 0.04:
        picked += [random.choice(("no such", "FR", "fr\n", "", *codes)), random.choice(codes)]
    return picked


def make_posted(random: Random) -> dict[str, list[str]]:
    """Return values for every field: buttons for optional pages are pressed half the time, and more are grown up."""
    posted = {}
    for field in FIELD_BY_NAME.values():
        if field.kind != "more" or random.random() < 0.5:
            posted[field.name] = make_values(random, field)
    return posted | ({"age": [ADULT_BAND]} if random.random() < 0.15 else {})


def make_full(random: Random) -> dict[str, list[str]]:
    """Return answers with texts of the greatest size in JSON, which leave no room for a service's context."""
    full = {name: ["\x01" * field.max_characters] for name, field in FIELD_BY_NAME.items() if field.kind in TYPED}
    return make_posted(random) | full | {name: ["yes"] for name, field in FIELD_BY_NAME.items() if field.kind == "more"}


def make_case(random: Random, number: int) -> dict[str, Any]:
    """Return one case: all posts, one screen posted again, and the facts of Send."""
    screen, is_full = random.choice(ASKING), number % 250 == 0
    token = f"1.example-chat.{REPORT_ID}.{'A' * (30_000 if is_full else 9)}"
    given = {
        **FACTS,
        "language": random.choice(("en", "cy")),
        "environment": random.choice(("live", "sandbox")),
        "placement": random.choice((None, "example-chat")),
        "context": random.choice((token, None if not is_full else token)),
        "signals": random.choice(([], ["fast"], ["honeypot", "limited"])),
        "reply_by": random.choice((None, "2026-12-08")),
        "reply_key": random.choice((None, FACTS["reply_key"])),
    }
    return {
        "posted": make_full(random) if is_full else make_posted(random),
        "again": {"screen": screen.name, "posted": {one.name: make_values(random, one) for one in screen.fields}},
        "given": given,
        "screens": [random.choice(SCREENS).name],
        "way": {
            "hasSeenCheck": random.random() < 0.8,
            "gonePast": [one.name for one in SCREENS if one.name not in {CHECK, THANKS} and random.random() < 0.9],
            "isAsked": random.random() < 0.1,
        },
    }


def post_by_browser(values: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the values as a browser posts them (WHATWG HTML): line ends as two characters, no half characters."""
    return {
        name: [one if one.isascii() and one.isprintable() else _post(one) for one in some]
        for name, some in values.items()
    }


def _post(text: str) -> str:
    whole = text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return re.sub(r"\r\n|\r|\n", "\r\n", whole)


def read_answers(case: dict[str, Any]) -> dict[str, list[str]]:
    """Return the answers after all posts of a case."""
    form, answers = post_by_browser(case["posted"]), dict[str, list[str]]()
    for screen in ASKING:
        answers |= screen.merge({}, screen.read(lambda name: form.get(name, [])))
    screen, form = SCREEN_BY_NAME[case["again"]["screen"]], post_by_browser(case["again"]["posted"])
    return screen.merge(answers, screen.read(lambda name: form.get(name, [])))


def make_report(answers: Answers, given: dict[str, Any]) -> str:
    """Return the bytes that Send would seal, as text."""
    draft = Draft(report_id=given["report_id"], started_at="", language=given["language"], context=given["context"])
    report = name_phone(make_public_report(draft, answers, environment=given["environment"]))
    whole = structs.replace(
        report,
        signals=(*given["signals"], *report.signals),
        signposted=list_signposted(answers),
        **{name: given[name] for name in ("copy_version", "placement", "reply_by", "reply_key", "submitted_at")},
    )
    return encode_public_report(leave_out_what_does_not_fit(whole)).decode()


def find_expected(case: dict[str, Any]) -> dict[str, Any]:
    """Return the findings of the gateway's own code for a case."""
    answers = read_answers(case)
    path, kept = list_path(answers), keep_on_path(answers)
    profile = make_profile(answers)
    door: Any = SimpleNamespace(advice={"en": LIBRARY})
    return {
        "advice": list_advice_codes(door, answers, audience=profile.reader),
        "answers": answers,
        "faults": [[[fault.field.name, fault.kind] for fault in screen.list_faults(answers)] for screen in path],
        "next": [get_next(SCREEN_BY_NAME[name], answers).name for name in case["screens"]],
        "fields": [
            [field.is_shown(answers), field.is_needed(answers), list(field.list_offered(answers))]
            for screen in path
            for field in screen.fields
        ],
        "following": [find_following(SCREEN_BY_NAME[name], answers, case["way"]) for name in case["screens"]],
        "incomplete": getattr(find_incomplete(answers), "name", None),
        "kept": kept,
        "path": [screen.name for screen in path],
        "priority": get_priority(answers),
        "profile": asdict(profile),
        "progress": [[get_progress(one), get_progress(one, is_late=True)] for one in path],
        "report": make_report(kept, case["given"]),
        "urgency": get_urgency(DRAFT, make_public_report(DRAFT, kept, environment="live")),
        "urgent": list(list_urgent(answers)),
    }


def find_following(screen: Screen, answers: dict[str, list[str]], way: dict[str, Any]) -> str:
    draft = Draft(
        report_id="",
        started_at="",
        language="en",
        answers=answers,
        has_seen_check=way["hasSeenCheck"],
        gone_past=way["gonePast"],
    )
    form = dict.fromkeys((one.name for one in screen.fields if one.kind == "more"), "yes") if way["isAsked"] else {}
    with APP.test_request_context(method="POST", data=form):
        return get_following(screen, draft).name


def start_script(folder: Path, cases: list[dict[str, Any]]) -> "subprocess.Popen[bytes]":
    """Start the script on these cases; `read_results` reads its results."""
    # Python's JSON may write half a character as an escape, which a browser's page may hold too.
    lines = [json.dumps(one) for one in (export_journey(LIBRARY), *cases)]
    (folder / "cases").write_text("\n".join(lines), encoding="ascii")
    return subprocess.Popen([str(shutil.which("node")), DRIVER, SCRIPT, folder / "cases", folder / "results"])


def read_results(folder: Path, process: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    """Wait for the script and return its results."""
    assert process.wait(timeout=300) == 0
    return [msgspec.json.decode(line) for line in (folder / "results").read_bytes().splitlines()]


def run_script(folder: Path, *cases: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the script's results for a few cases."""
    return read_results(folder, start_script(folder, list(cases)))


def test_script_finds_for_ten_thousand_sets_of_answers_what_the_gateway_finds(tmp_path: Path) -> None:
    random = Random(20261203)
    cases = [make_case(random, number) for number in range(CASES)]
    process = start_script(tmp_path, cases)
    expected = [find_expected(case) for case in cases]
    found = read_results(tmp_path, process)
    wrong = [number for number in range(CASES) if found[number] != expected[number]]
    for number in wrong[:1]:
        assert found[number] == expected[number], cases[number]
    assert (len(found), wrong) == (CASES, [])
    check_reach(expected)


def test_phone_promises_never_sooner_than_the_class_at_the_desk(tmp_path: Path) -> None:
    random = Random(20261204)
    cases = [make_case(random, number) for number in range(1, 1_001)]
    # Some say in their words what the phone looks for too, some what the desk alone does.
    stories = ("[message]", "I want to end my life", "My uncle touches me at home. It still goes on")
    for case in cases:
        case["posted"]["story"] = [random.choice(stories)]
    sooner = Counter[bool]()
    for case, found in zip(cases, run_script(tmp_path, *cases), strict=True):
        report = make_public_report(DRAFT, keep_on_path(read_answers(case)), environment="live")
        at_desk, on_phone = (
            get_args(Urgency).index(one) for one in (assess(report, received_at=NOW).urgency, found["urgency"])
        )
        assert at_desk <= on_phone
        sooner[at_desk < on_phone] += 1
    assert min(sooner[True], sooner[False]) >= 50, sooner


def check_reach(expected: list[dict[str, Any]]) -> None:
    """Check that the cases reach every screen, rule, fault and reader often enough to be compared."""
    paths = Counter(chain.from_iterable(one["path"] for one in expected))
    assert {screen.name for screen in SCREENS if paths[screen.name] < 100} == {THANKS}
    assert min(Counter(one["priority"] for one in expected)[code] for code in ("P1", "P2", "P3")) >= 300
    answered = [rule for rule in PRIORITY_RULES if rule.priority == "P1"]
    raised = [
        one for one in expected if one["priority"] == "P1" and not any(x.when.fits(one["answers"]) for x in answered)
    ]
    assert len(raised) >= 100
    matched = Counter(number for one in expected for number, rule in enumerate(URGENT_RULES) if fits(rule, one))
    assert min(matched[number] for number in range(len(URGENT_RULES))) >= 100
    classes = Counter(one["urgency"] for one in expected)
    assert min(classes[name] for name in get_args(Urgency)) >= 200, classes
    skipped = sum(one["following"] != one["next"] for one in expected)
    assert CASES > skipped >= 500
    faults = Counter(kind for one in expected for screen in one["faults"] for _, kind in screen)
    assert min(faults["blank"], faults["too_long"]) >= 1_500
    blank = Counter(name for one in expected for screen in one["faults"] for name, kind in screen if kind == "blank")
    needed = {name for name, one in FIELD_BY_NAME.items() if one.required or one.goes_with or one.needed_without}
    assert {name for name in needed if blank[name] < 100} == {"other_language"}
    long = Counter(name for one in expected for screen in one["faults"] for name, kind in screen if kind == "too_long")
    assert {name for name, one in FIELD_BY_NAME.items() if one.kind in TYPED and long[name] < 10} == set()
    readers = Counter(one["profile"]["reader"] for one in expected)
    assert min(readers[audience] for audience in AUDIENCES) >= 200
    assert min(sum(bool(one["profile"][name]) for one in expected) for name in ("country", "country_there")) >= 500
    assert sum(one["incomplete"] is None for one in expected) >= 300
    assert {one.code for one in LIBRARY.advice if not one.feels} - {
        *chain.from_iterable(one["advice"] for one in expected)
    } == {one["code"] for one in export_journey(LIBRARY)["advice"]["library"] if one.get("is_left_out")}
    reports = [json.loads(one["report"]) for one in expected]
    assert {len(reports), len({one["report"] for one in expected})} == {CASES}
    assert min(Counter(one["age_band"] for one in reports)[band] for band in AGE_BANDS) >= 500
    assert min(sum(test(one) for one in reports) for test in REPORTS) >= 10


# Kinds of reports that the rarer rules make.
REPORTS: Final = (
    lambda one: "context" in one,
    lambda one: "context_refused" in one["signals"],
    lambda one: "gave_a_time" in one["kinds"],
    lambda one: "danger-cannot_call" in one["signals"],
    lambda one: "there_too" in one,
    lambda one: "\ufffd" in one["story"],
    lambda one: "\r\n" in one["story"],
    lambda one: len(one["story"]) == 5_000,
    lambda one: one["story"] == "\U0001f642" * 5_000,
)


def fits(rule: Any, expected: dict[str, Any]) -> bool:
    """Return whether an urgent rule matches the answers of a case."""
    return all(one.fits(expected["answers"]) for one in rule.when)


@pytest.mark.parametrize("language", ["", "cy"])
def test_script_makes_the_very_report_that_send_makes(public: PublicHouse, tmp_path: Path, language: str) -> None:
    way = {
        **LONG_WAY,
        "/9": {**LONG_WAY["/9"], "story": 'It is "odd":\r\n\r\n\x00\x1f\x7f \U0001f642 \u2028\ufeff e\u0301'},
    }
    public.person_at("/14", way, language=language).send()
    (report,) = public.reports()
    facts: dict[str, Any] = {name: getattr(report, name) for name in FACTS if hasattr(report, name)}
    posted = {
        name: [value] if isinstance(value, str) else value for page in way.values() for name, value in page.items()
    }
    given = {
        **facts,
        "environment": report.clear.environment,
        "report_id": report.clear.report_id,
        "signals": [code for code in report.signals if not code.startswith("danger-")],
    }
    again = {"screen": "name", "posted": {"name": posted["name"]}}
    way_on = {"hasSeenCheck": False, "gonePast": [], "isAsked": False}
    case = {"posted": posted, "again": again, "given": given, "screens": [], "way": way_on}
    (found,) = run_script(tmp_path, case)
    assert report.language == (language or "en")
    assert report.reply_key is not None
    assert report.clear.way == "plain"
    assert found["report"] == encode_public_report(name_phone(report)).decode()
    assert found["faults"] == [[] for _ in found["path"]]


def test_half_a_character_makes_no_report_on_either_side(tmp_path: Path) -> None:
    case = make_case(Random(1), 1)
    case["given"]["context"] = "\ud83d"
    (found,) = run_script(tmp_path, case)
    assert found["report"] == "Refused: malformed."
    with pytest.raises(FormatError):
        make_report({}, case["given"])


def test_journey_is_the_same_in_both_languages_and_holds_no_text_for_readers() -> None:
    exported = export_journey(LIBRARY)
    assert exported == export_journey(load_advice("cy"))
    text = json.dumps(exported)
    assert len(exported["screens"]) == len(SCREENS)
    assert not [field.name for field in FIELD_BY_NAME.values() if field.why in text or field.who_uses in text]
    assert not [one.code for one in LIBRARY.advice if any(sentence in text for sentence in one.sentences)]
