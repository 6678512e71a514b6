"""A day of 100 reports and six people: no word of a report or of a person's note is readable outside the keys' folder.

It looks through the desk's and the gateway's folders with their databases and journals, the audit log, the log lines of
the processes and the folder for temporary files. It cannot show what a process held in memory and let go.
"""

import base64
import hashlib
import hmac
import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from gateway.desk.cases.holding import hand_over, take_over
from gateway.desk.cases.linking import link_cases, set_about
from gateway.desk.cases.model import NO_SAFE_CONTACT
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replying.replies import GivenReply, record_reply
from gateway.desk.people.permissions import Role
from gateway.desk.store.identifier_tables import CASE_IDENTIFIERS
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from gateway.web.logs import AllowListFormatter
from partner_sdk.report import IndustryReport
from tests.builders import seal_report
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import make_fullest_report
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out
from tests.desk.view_builders import Browser, make_code_key, make_code_seed
from tests.desk.work_builders import ANSWERS, assess
from tests.public_report_builders import make_child_details, make_contact, make_known_person

# Each kind of step below falls to several of them; what one leaves readable is found as well as what ten do.
REPORTS = 100
INDUSTRY = 20
# In every typed text of the day, with the number of its report.
MARK = "daymarkerquill"
KINDS = ("grooming", "meet_offline", "sexual_talk", "coercion_blackmail", "something_else")
PEOPLE = {
    "a-first": (Role.ANALYST,),
    "a-second": (Role.ANALYST,),
    "b-adviser": (Role.ADVISER,),
    "c-operations": (Role.OPERATIONS,),
    "d-harm": (Role.HARM_REDUCTION,),
    "e-lead": (Role.SUPERVISOR,),
}
CHANCE = random.Random(20261128)
CODE = make_code_key(make_code_seed("a day"))


def mark(number: int, text: str) -> str:
    return f"{text} {MARK}{number:03d}"


def send_child(loop: Loop, number: int) -> None:
    """Send a report of the public with a mark in every text, and an address that a tenth of the others share."""
    loop.send_public(
        age_band=CHANCE.choice(("12_or_under", "13_15", "16_17")),
        child=make_child_details(name=mark(number, "Sam"), place=mark(number, "Leeds"), school=mark(number, "School")),
        contact=make_contact(
            email=f"{MARK}{number:03d}@mail.example",
            may_say_who_we_are="yes",
            safe_word=mark(number, "door"),
            ways=("email",),
            who_must_not_know=mark(number, "nobody"),
        ),
        danger="yes" if number % 50 == 0 else "no",
        kinds=(CHANCE.choice(KINDS),),
        name=mark(number, "Sam"),
        person=make_known_person(
            app=mark(number, "Chat"), handle=f"{MARK}{number % 10:03d}", names=mark(number, "Max")
        ),
        region=CHANCE.choice(("england", "wales", "not_sure")),
        reply_key=CODE,
        reporter_age_band="13_15",
        story=mark(number, f"Write to {MARK}{number:03d}@other.example or +44 20 7946 {number:04d}."),
        under_18="yes" if number % 3 else "no",
        who="me",
    )


def make_marked_report(number: int) -> IndustryReport:
    """Return a partner's report with every field filled, each text with the mark."""
    report, words = make_fullest_report()
    raw = msgspec.json.encode(report).replace(b"word-", f"{MARK}{number:03d}-".encode())
    assert raw.count(MARK.encode()) >= len(words)
    return msgspec.json.decode(raw, type=IndustryReport)


def work(desk: Desk, browsers: dict[str, Browser], cases: Sequence[tuple[int, str]]) -> None:
    """Work through cases, an eighth on the pages and the others by the same rules, each text with its case's mark."""
    for number, case_id in cases:
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
            link_cases(desk, case_id, cases[number - 1][1], reason=mark(number, "One handle."), actor=analyst)
            set_about(
                desk, case_id, service="Other Chat", reason=mark(number, "It says so."), is_new=True, actor=analyst
            )


def use_pages(browsers: dict[str, Browser], analyst: Browser, number: int, case_id: str, *, reasons: str) -> None:
    path = f"/cases/{case_id}"
    assert analyst.get(path).status_code == 200
    assert analyst.post(f"{path}/read").status_code == 200
    answers = ANSWERS | {"assess_reasons": reasons, "seen_step": "0"}
    faulty = analyst.post(f"{path}/assess", **(answers | {"kind": ""}))
    assert faulty.status_code == 409
    assert reasons in faulty.text, "typed text comes back with the fault"
    assert analyst.post(f"{path}/assess", **answers).status_code == 303
    analyst.post(f"{path}/reply/preview", reply_text=mark(number, "Thank you."), counts="yes")
    if number % 3 == 0:
        moved = analyst.post(f"{path}/move", lane="crisis", score="950", move_reason=mark(number, "A teacher rang"))
        assert moved.status_code == 303
    if number % 4 == 0:
        adviser = browsers["b-adviser"]
        adviser.get(path)
        view = {
            f"view_{name}": ANSWERS[name] for name in ("immediate_risk", "urgent", "urgent_dissemination", "priority")
        }
        assert adviser.post(f"{path}/advise", **view, view_reasons=mark(number, "Agreed.")).status_code == 303
    analyst.get("/search")
    assert analyst.post("/search", wanted=f"{MARK}{number:03d}@mail.example").status_code == 200


def list_spellings() -> list[bytes]:
    """Return the mark as it would look in clear, in capitals, as wide characters, in hex and in base64 at any place."""
    text = MARK.encode()
    found = [text, text.upper(), MARK.encode("utf-16-le"), text.hex().encode(), text.hex().upper().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + text)
        found.append(whole[4 if shift else 0 : -4])
    return found


def find_marks(raw: bytes) -> list[bytes]:
    return [one for one in list_spellings() if one in raw]


def list_files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("as_what", ["utf-8", "utf-16-le", "hex", "base64"])
def test_marks_are_found_in_any_spelling(as_what: str) -> None:
    text = f"before {MARK}017 after"
    raw = {"hex": text.encode().hex().encode(), "base64": base64.b64encode(text.encode())}
    assert find_marks(raw[as_what] if as_what in raw else text.encode(as_what))
    assert find_marks(b"x" + base64.b64encode(b"xy" + text.encode()))
    assert not find_marks(b"a day without one")


def test_day_of_100_reports_leaves_no_readable_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    temporary, log = tmp_path / "temporary", tmp_path / "log"
    temporary.mkdir()
    loop = copy_loop(tmp_path / "loop")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    lines = logging.FileHandler(log)
    lines.setFormatter(AllowListFormatter("desk"))
    logging.getLogger().addHandler(lines)
    logging.getLogger("report_abuse").setLevel(logging.INFO)
    try:
        spend_day(loop)
    finally:
        logging.getLogger().removeHandler(lines)
        lines.close()
    assert log.stat().st_size > 20_000, "the lines of the day were written"
    keys = loop.desk.paths.keys
    looked = 0
    for path in list_files(tmp_path):
        if not path.is_relative_to(keys):
            looked += 1
            assert find_marks(path.read_bytes()) == [], path.relative_to(tmp_path)
    assert looked >= 10
    said = capfd.readouterr()
    assert find_marks((said.out + said.err).encode()) == []
    check_hashes(loop)


def spend_day(loop: Loop) -> None:
    """Send, collect and work through the reports of the day, and send out what is to be sent."""
    for number in range(REPORTS - INDUSTRY):
        send_child(loop, number)
    for number in range(REPORTS - INDUSTRY, REPORTS):
        loop.send_industry(seal_report(loop.partner, key=loop.sealing_key(), report=make_marked_report(number)))
    loop.collect()
    browsers = {person: Browser(loop.desk).sign_in(person, roles) for person, roles in PEOPLE.items()}
    with loop.desk.store.read() as connection:
        cases = [str(one) for one in connection.scalars(select(CASES.c.case_id).order_by(CASES.c.collected_at))]
        assert len(cases) == REPORTS
    for browser in browsers.values():
        assert browser.get("/").status_code in {200, 302, 303}
    work(loop.desk, browsers, list(enumerate(cases)))
    send_out(loop.desk)
    with loop.desk.store.read() as connection:
        read = connection.scalar(select(func.count()).where(CASES.c.opened_at.is_not(None)))
    assert read == REPORTS


def check_hashes(loop: Loop) -> None:
    """Check that no hash of the index can be made of a known identifier with anything outside the vault's keys."""
    with loop.desk.store.read() as connection:
        digests = {bytes(one) for one in connection.scalars(select(CASE_IDENTIFIERS.c.digest))}
    assert len(digests) > REPORTS
    known = [f"{MARK}{number:03d}@mail.example" for number in range(REPORTS - INDUSTRY)]
    made = loop.desk.load_signer().hash_identifiers([("email", one) for one in known])
    assert len(digests & set(made)) > 0.9 * len(known), "the vault itself finds them"
    blobs = {
        path.read_bytes() for path in list_files(loop.desk.paths.state) if not path.is_relative_to(loop.desk.paths.keys)
    }
    secrets = {b"", *(one[start : start + 32] for one in blobs for start in range(0, min(len(one), 65_536), 4096))}
    for text in known[:50]:
        for name in ("sha256", "sha512", "blake2b", "sha3_256"):
            for spelled in (text, f"email:{text}", f"email\0{text}"):
                assert hashlib.new(name, spelled.encode()).digest()[:32] not in digests
                assert not {hmac.digest(one, spelled.encode(), name)[:32] for one in secrets if one} & digests
