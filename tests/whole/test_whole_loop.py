"""The whole loop in one process: a child and a service report, six people work on it, a force asks, the child reads.

Each typed text has a mark. All of them come out at the desk byte for byte, and none is readable at the gateway, in an
address, a cookie or a log line, in the folder for temporary files, or at the desk outside the folder of its keys. It
cannot show what a process held in memory and let go.
"""

import base64
import json
import logging
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from sqlalchemy import func, select

from gateway.desk.cases.closing import Closing, record_child_outcome
from gateway.desk.cases.holding import hand_over, take_over
from gateway.desk.cases.linking import link_cases, set_about
from gateway.desk.cases.model import NO_SAFE_CONTACT, get_case
from gateway.desk.cases.opening import OpenedCase, open_case
from gateway.desk.cases.replies import GivenReply, ReplyDraft, record_reply, write_reply
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from gateway.public.journey import FIELD_BY_NAME, TYPED
from gateway.web.logs import AllowListFormatter
from partner_sdk.report import IndustryReport
from partner_sdk.wire.mailbox import Package
from tests.builders import EXAMPLE_REPORT, seal_report
from tests.desk.industry_builders import make_fullest_report
from tests.desk.outgoing.packages.package_forms import DUTY, FORM, draft, sign
from tests.desk.view_builders import Browser, make_code_key, make_code_seed
from tests.desk.work_builders import ANSWERS, assess, assess_and_close
from tests.gateway.public.person import Person
from tests.gateway.public.return_builders import read_numbers
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers, flatten
from tests.public_report_builders import make_child_details, make_contact, make_known_person
from tests.whole.whole_loop import WholeLoop, list_files, make_whole_loop

MARK = "daymarkerquill"
WIDE = "ŵ\U0001f600"  # two letters that many encodings spell in their own way
# Each kind of step of the desk falls to some of them.
CHILDREN, INDUSTRY = 24, 6
KINDS = ("extra_nice", "wants_to_meet", "sexual_talk", "threatens_to_share", "something_else")
PEOPLE = {
    "a-first": (Role.ANALYST,),
    "a-second": (Role.ANALYST,),
    "b-adviser": (Role.ADVISER,),
    "c-operations": (Role.OPERATIONS,),
    "d-harm": (Role.HARM_REDUCTION,),
    "e-lead": (Role.SUPERVISOR,),
    DUTY: (Role.DUTY_OFFICER,),
}
CHANCE = random.Random(20261128)
CODE = make_code_key(make_code_seed("a day"))
FREE_TEXTS = {
    *("narrative", "time_meaning", "priority_reason", "organisation", "service", "service_user_id"),
    *("submitter_name", "submitter_email", "submitter_telephone"),
}
OFFICER = "DC Example of Kent Police"
REPLY = f"You did the right thing. {MARK}"


def mark(name: str | int, text: str = "") -> str:
    return f"{text} {MARK} {WIDE} {name}"


# The longest way through the form, with the mark in everything that is typed.
TYPED_NAMES = [name for name in flatten(LONG_WAY) if FIELD_BY_NAME[name].kind in TYPED]
MARKED_WAY: ScreenAnswers = {
    path: {
        name: (f"{mark(name)}\r\n line 2" if name == "story" else mark(name)) if name in TYPED_NAMES else value
        for name, value in answers.items()
    }
    for path, answers in LONG_WAY.items()
}


class Recorder:
    """Notes every address, cookie and header that a door sees or sends."""

    def __init__(self, app: Flask) -> None:
        self._app, self.seen = app.wsgi_app, list[str]()
        app.wsgi_app = self  # type: ignore[method-assign]  # as Flask documents it for middleware

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass a request on."""
        self.seen.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']} {environ.get('HTTP_COOKIE')}")

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            self.seen.append(str(headers))
            return start_response(status, headers, *rest)

        return self._app(environ, start)


@dataclass
class Day:
    """The sides after the day, and the traces of it."""

    loop: WholeLoop
    log: Path
    output: str = ""
    child: OpenedCase | None = None
    service: OpenedCase | None = None
    report: Any = None
    replies: str = ""
    thread: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    before_collecting: list[bytes] = field(default_factory=list)

    @property
    def gateway_files(self) -> list[Path]:
        return list_files(self.loop.loop.folder / "gateway")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day")
    (folder / "temporary").mkdir()
    day = Day(make_whole_loop(folder / "loop"), folder / "log")
    lines = logging.FileHandler(day.log)
    lines.setFormatter(AllowListFormatter("gateway"))
    logging.getLogger().addHandler(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder / "temporary"))
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        logging.getLogger("report_abuse").setLevel(logging.INFO)
        try:
            spend(day)
        finally:
            logging.getLogger().removeHandler(lines)
            lines.close()
    return day


def spend(day: Day) -> None:
    """Let everyone report, and the desk work through all of it."""
    whole, loop, desk = day.loop, day.loop.loop, day.loop.loop.desk
    app = loop.open_app("public")
    recorder = Recorder(app)
    person = Person(app).start()
    loop.clock.advance(minutes=5)
    reference, words = read_numbers(person.walk_to("/14", MARKED_WAY).send())
    service = whole.add_partner("other-chat", name="Other Chat")
    day.report = mark_report(json.loads(EXAMPLE_REPORT.read_bytes()))
    receipt = service.submit(json.dumps(day.report).encode(), priority="P2")
    for number in range(CHILDREN):
        send_child(whole, number)
    loop.enrol()
    for number in range(CHILDREN, CHILDREN + INDUSTRY):
        loop.send_industry(seal_report(loop.partner, key=loop.sealing_key(), report=make_marked_report(number)))
    day.before_collecting = [path.read_bytes() for path in day.gateway_files]
    whole.work(minutes=1)
    browsers = {name: Browser(desk).sign_in(name, roles) for name, roles in PEOPLE.items()}
    day.child = open_case(desk, reference, actor="a-first")
    day.service = open_case(desk, receipt.reference, actor="a-first")
    work_through(desk, browsers)
    pass_on(day, browsers, day.child.case.case_id)
    answer_the_child(day, reference)
    come_back = Person(app)
    come_back.get("/16")
    come_back.press(reference=reference, words_typed=words)
    day.replies = come_back.text()
    day.seen = recorder.seen


def send_child(whole: WholeLoop, number: int) -> None:
    """Send a report of the public with a mark in every text, and an address that some of the others share."""
    whole.loop.send_public(
        age_band=CHANCE.choice(("12_or_under", "13_15", "16_17")),
        child=make_child_details(name=mark(number, "Sam"), place=mark(number, "Leeds"), school=mark(number, "School")),
        contact=make_contact(
            email=f"{MARK}{number:03d}@mail.example",
            adult=mark(number, "aunt"),
            may_say_who_we_are="yes",
            safe_word=mark(number, "door"),
            ways=("email", "adult"),
            who_must_not_know=mark(number, "nobody"),
        ),
        danger="yes" if number % 10 == 0 else "no",
        kinds=(CHANCE.choice(KINDS),),
        name=mark(number, "Sam"),
        person=make_known_person(
            app=mark(number, "Chat"), handle=f"{MARK}{number % 10:03d}", names=mark(number, "Max")
        ),
        region=CHANCE.choice(("england", "wales", "not_sure")),
        reply_key=CODE,
        reporter_age_band="16_17" if number % 3 else "18_plus",
        story=mark(number, f"Write to {MARK}{number:03d}@other.example or +44 20 7946 {number:04d}."),
        under_18="yes" if number % 3 else "no",
        who="child_i_look_after",
    )


def mark_report(value: Any, path: str = "") -> Any:
    """Return the example report with the mark in every free text."""
    if isinstance(value, dict):
        return {name: mark_report(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [mark_report(inner, path) for inner in value]
    return mark(path) if path in FREE_TEXTS else value


def make_marked_report(number: int) -> IndustryReport:
    """Return a partner's report with every field filled, each text with the mark."""
    report, words = make_fullest_report()
    raw = msgspec.json.encode(report).replace(b"word-", f"{MARK}{number:03d}-".encode())
    assert raw.count(MARK.encode()) >= len(words)
    return msgspec.json.decode(raw, type=IndustryReport)


def work_through(desk: Desk, browsers: dict[str, Browser]) -> None:
    """Work through all cases, some on the pages and the others by the same rules, each text with its case's mark."""
    with desk.store.read() as connection:
        unread = select(CASES.c.case_id).where(CASES.c.opened_at.is_(None)).order_by(CASES.c.collected_at)
        cases = [str(one) for one in connection.scalars(unread)]
    assert len(cases) == CHILDREN + INDUSTRY
    for number, case_id in enumerate(cases):
        analyst = "a-first" if number % 2 else "a-second"
        reasons = mark(number, "Because of it.")
        if number % 8:
            open_case(desk, case_id, actor=analyst)
            assess(desk, case_id, actor=analyst, reasons=reasons)
        else:
            use_pages(browsers, browsers[analyst], number, case_id, reasons=reasons)
        if number % 6 == 0:
            given = GivenReply(NO_SAFE_CONTACT, mark(number, "The phone is shared."))
            record_reply(desk, case_id, given, actor=analyst)
        if number % 7 == 0:
            note = mark(number, "Next: call.")
            hand_over(desk, case_id, reason=mark(number, "Advice"), note=note, person="d-harm", actor=analyst)
        elif number % 9 == 0:
            take_over(desk, case_id, from_person=analyst, reason=mark(number, "Another shift."), actor="e-lead")
        elif number % 10 == 0:
            link_cases(desk, case_id, cases[number - 1], reason=mark(number, "One handle."), actor=analyst)
            reason = mark(number, "It says so.")
            set_about(desk, case_id, service="Other Chat", reason=reason, is_new=True, actor=analyst)


def use_pages(browsers: dict[str, Browser], analyst: Browser, number: int, case_id: str, *, reasons: str) -> None:
    path = f"/cases/{case_id}"
    assert analyst.get("/").status_code == 200
    assert analyst.get(path).status_code == 200
    assert analyst.post(f"{path}/read").status_code == 200
    answers = ANSWERS | {"assess_reasons": reasons, "seen_step": "0"}
    faulty = analyst.post(f"{path}/assess", **(answers | {"kind": ""}))
    assert faulty.status_code == 409
    assert reasons in faulty.text, "typed text comes back with the fault"
    assert analyst.post(f"{path}/assess", **answers).status_code == 303
    analyst.post(f"{path}/reply/preview", reply_text=mark(number, "Thank you."), counts="yes")
    moved = analyst.post(f"{path}/move", lane="crisis", score="950", move_reason=mark(number, "A teacher rang"))
    assert moved.status_code == 303
    adviser = browsers["b-adviser"]
    adviser.get(path)
    view = {f"view_{name}": ANSWERS[name] for name in ("immediate_risk", "urgent", "urgent_dissemination", "priority")}
    assert adviser.post(f"{path}/advise", **view, view_reasons=mark(number, "Agreed.")).status_code == 303
    analyst.get("/search")
    assert analyst.post("/search", wanted=f"{MARK}{number:03d}@mail.example").status_code == 200


def pass_on(day: Day, browsers: dict[str, Browser], case_id: str) -> None:
    """Send the child's case as a package to a force, which acknowledges it, asks, and tells the outcome."""
    whole, desk = day.loop, day.loop.loop.desk
    police = whole.add_partner("kent-police", name="Kent Police", type="police", country="GB")
    whole.agree_with("kent", partner="kent-police")
    urgent = {"immediate_risk": "yes", "urgent": "yes", "urgent_dissemination": "yes"}
    assess(desk, case_id, actor="a-first", reasons=mark("assessed"), **urgent)
    texts = {name: mark(name) for name in ("why", "summary", "necessity", "guidance", "handling_note", "title")}
    made = draft(desk, browsers["a-first"], case_id, **FORM | texts | {"officer": "a-first", "reporter": "named"})
    assert sign(browsers["e-lead"], made).status_code == 303
    whole.work(minutes=1)
    police.collect_mailbox()
    (thread,) = police.threads.read("package").threads
    assert isinstance(thread.body, Package)
    opened = police.threads.open_package(thread.message_id, folder=whole.loop.folder.parent / "at the force")
    assert mark("story").strip() in (opened.folder / "page.html").read_text(encoding="utf-8")
    police.threads.write(thread.message_id, kind="acknowledge", by=OFFICER)
    police.threads.write(thread.message_id, kind="question", by=OFFICER, text=mark("question"))
    whole.work(minutes=1)
    analyst = browsers["a-first"]
    asked = analyst.post(f"/actions/{made.action_id}/read")
    assert mark("question").strip() in asked.text
    written = analyst.post(f"/actions/{made.action_id}/write", entry_kind="answer", entry_text=mark("answer"))
    assert written.status_code == 303
    whole.work(minutes=1)
    police.collect_mailbox()
    (thread,) = police.threads.read("package").threads
    day.thread = [str(line.text).strip() for line in thread.lines if not line.is_own]
    police.threads.write(thread.message_id, kind="outcome", by=OFFICER, outcome="safeguarded", text=mark("outcome"))
    whole.work(minutes=1)


def answer_the_child(day: Day, reference: str) -> None:
    desk = day.loop.loop.desk
    record_child_outcome(desk, reference, outcome="safeguarded", told_by=OFFICER, actor="a-first")
    reply = ReplyDraft(REPLY, is_the_reply=True, reason=mark("the phone is shared"))
    write_reply(desk, reference, reply, actor="a-first")
    assess_and_close(desk, reference, Closing(outcome="used"), actor="a-first")
    day.loop.work(minutes=1)


def list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from list_texts(inner)
    elif isinstance(value, str):
        yield value


def list_spellings() -> list[bytes]:
    """Return the mark in clear, in capitals, as wide characters, in hex and in base64 at any place."""
    text = MARK.encode()
    found = [text, text.upper(), MARK.encode("utf-16-le"), text.hex().encode(), text.hex().upper().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + text)
        found.append(whole[4 if shift else 0 : -4])
    return found


def find_marks(raw: bytes) -> list[bytes]:
    return [one for one in list_spellings() if one in raw]


@pytest.mark.parametrize("as_what", ["utf-8", "utf-16-le", "hex", "base64"])
def test_marks_are_found_in_any_spelling(as_what: str) -> None:
    text = f"before {MARK}017 after"
    raw = {"hex": text.encode().hex().encode(), "base64": base64.b64encode(text.encode())}
    assert find_marks(raw[as_what] if as_what in raw else text.encode(as_what))
    assert find_marks(b"x" + base64.b64encode(b"xy" + text.encode()))
    assert not find_marks(b"a day without one")


def test_every_typed_answer_comes_out_at_the_desk_byte_for_byte(day: Day) -> None:
    assert day.child is not None
    texts = set(list_texts(msgspec.to_builtins(day.child.content)))
    assert len(TYPED_NAMES) == 24
    typed = flatten(MARKED_WAY)
    assert [name for name in TYPED_NAMES if typed[name][0] not in texts] == []


def test_every_text_of_a_service_comes_out_at_the_desk_byte_for_byte(day: Day) -> None:
    assert day.service is not None
    sent = {text for text in list_texts(day.report) if MARK in text}
    assert len(sent) == 9
    assert sent <= set(list_texts(msgspec.to_builtins(day.service.content)))


def test_force_reads_the_answer_and_the_child_the_reply(day: Day) -> None:
    assert day.thread == [mark("answer").strip()]
    assert REPLY in day.replies
    with day.loop.loop.desk.store.read() as connection:
        assert day.child is not None
        assert get_case(connection, day.child.case.case_id).closed_at is not None
        read = connection.scalar(select(func.count()).where(CASES.c.opened_at.is_not(None)))
    assert read == CHILDREN + INDUSTRY + 2


def test_mark_is_in_no_file_of_the_gateway_before_or_after_collecting(day: Day) -> None:
    assert {"gateway.sqlite", "gateway.sqlite-wal", "gateway.toml"} <= {path.name for path in day.gateway_files}
    after = [path.read_bytes() for path in day.gateway_files]
    assert sum(map(len, day.before_collecting)) > 65_536 * CHILDREN
    assert [found for raw in (*day.before_collecting, *after) for found in find_marks(raw)] == []


def test_mark_is_in_no_address_and_no_cookie(day: Day) -> None:
    assert len(day.seen) > 60
    assert [text for text in day.seen if find_marks(text.encode())] == []


def test_mark_is_readable_in_no_file_of_the_desk_but_its_keys(day: Day) -> None:
    folder, keys = day.loop.loop.folder, day.loop.loop.desk.paths.keys
    files = list_files(folder / "desk", folder.parent / "temporary", but=(keys,))
    assert len(files) >= 6
    assert [path for path in files if find_marks(path.read_bytes())] == []


def test_log_has_no_mark_and_neither_address_nor_path(day: Day) -> None:
    text = day.log.read_text("utf-8")
    assert text.count('"event":"request"') > 60
    assert find_marks(text.encode()) == []
    for word in ("127.0.0.1", "Werkzeug/", "?", "/17"):
        assert word not in text, word
