"""A person reads a row of the quarantine as far as it opens, unverified and noted; tries again; dismisses it."""

import ast
import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gateway.desk.collection.collect import DUPLICATE_ID
from gateway.desk.collection.importing import import_report
from gateway.desk.collection.quarantine import EXPLANATIONS, list_quarantined, open_row
from gateway.desk.collection.row_checks import KEY_ENDED, UNREADABLE_CONTENT
from gateway.desk.partners.account_changes import suspend_partner
from gateway.exchange.form_rules import FaultKind
from partner_sdk.wire.sealing import KEY_ID_BYTES, seal
from partner_sdk.wire.submission import report_context
from tests.builders import SealedReport, make_clear_fields, seal_report, sign_for_envelope
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import make_film, seal_with, tell_of
from tests.desk.forgery import newest_statement, resign_newest
from tests.desk.import_builders import make_file
from tests.desk.view_builders import Browser, has_fault_read_with

ENVELOPE = "partner_sdk/wire/sealing.py"
# Of another box than a report's, and of a collection that failed.
NOT_OF_ROWS = {"wrong-recipient", "unexpected"}
TRICK = "\x1b[2J\u202e"


@pytest.fixture
def open_it(loop: Loop) -> Callable[[int], str]:
    def run(row: int) -> str:
        browser = Browser(loop.desk).sign_in()
        browser.get("/quarantine")
        return html.unescape(browser.post(f"/quarantine/{row}/open").text)

    return run


def audited(loop: Loop) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        query = "SELECT actor, detail FROM audit WHERE action = 'open-quarantined' ORDER BY id"
        return [(row.actor, row.detail) for row in connection.exec_driver_sql(query)]


def seal_raw(loop: Loop, plain: bytes) -> SealedReport:
    """Seal something that is no report, as a newer program of the partner might, and sign for it."""
    clear = make_clear_fields(loop.partner.partner, priority="P1")
    envelope = seal(plain, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    return SealedReport(clear, envelope, sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key))


@pytest.mark.parametrize("comes_as_file", [False, True])
def test_content_of_no_known_form_is_shown_as_it_is_and_none_of_it_passes_for_ours(
    loop: Loop, open_it: Callable[[int], str], *, comes_as_file: bool
) -> None:
    sealed = seal_raw(loop, f"a new form{TRICK}<b>\nFiled and closed.".encode() + b"\xff")
    if comes_as_file:
        assert import_report(loop.desk, make_file(sealed), actor=ACTOR).reason == "unreadable-content"
    else:
        loop.send_industry(sealed)
        assert loop.collect().refused == {"unreadable-content": 1}
    shown = open_it(1)
    assert "a new form[U+001B][2J[U+202E]<b>\nFiled and closed.\\xff" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert len(audited(loop)) == 1


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "malformed": lambda raw: raw[:3],
    "does-not-open": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    "unknown-key": lambda raw: raw[:1] + bytes(KEY_ID_BYTES) + raw[1 + KEY_ID_BYTES :],
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_row_that_cannot_be_decrypted_is_named_as_such_with_its_cause(
    loop: Loop, open_it: Callable[[int], str], fault: str
) -> None:
    loop.send_public()
    with loop.gateway.store.read() as connection:
        raw = bytes(connection.exec_driver_sql("SELECT envelope FROM reports").scalar_one())
    loop.gateway_sql("UPDATE reports SET envelope = ?", DAMAGED[fault](raw))
    assert loop.collect().refused == {"envelope-mismatch": 1}
    assert f"It cannot be decrypted, because {EXPLANATIONS[fault]}. " in open_it(1)
    assert audited(loop) == [("a-assessor", f'{{"fault":"{fault}"}}')]


def test_row_opens_under_the_partners_own_fields_where_the_gateway_changed_them(loop: Loop) -> None:
    loop.send_industry(priority="P2")
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, priority="P3"))
    loop.collect()
    opened = open_row(loop.desk, 1, actor=ACTOR)
    assert opened.clear is not None
    assert opened.clear.priority == "P2"


def test_secrets_that_open_evidence_are_left_out(loop: Loop, open_it: Callable[[int], str]) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    film = make_film()
    file = make_file(seal_with(loop, [film.reference], files=[tell_of(film)]))
    assert import_report(loop.desk, file, actor=ACTOR).reason == "key-ended"
    text = open_it(1)
    assert film.evidence_id in text
    assert '"secret"' not in text
    assert film.reference.secret not in text


def test_rows_are_tried_again_and_one_is_filed_by_its_partners_word(loop: Loop) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    loop.send_industry()
    loop.collect()
    file = make_file(seal_report(loop.partner, key=loop.sealing_key()))
    assert import_report(loop.desk, file, actor=ACTOR).reason == "key-ended"
    browser = Browser(loop.desk).sign_in()
    browser.get("/quarantine")
    assert "Tried again: 0 filed, 0 known already." in browser.post("/quarantine/try-again").text
    assert 'action="/quarantine/1/accept"' in browser.post("/quarantine/1/open").text
    assert "Tried again: 1 filed, 0 known already." in browser.post("/quarantine/1/accept").text
    answer = browser.post("/quarantine/2/accept").text
    assert "1 came as files: import each again for its receipt." in answer
    assert "The quarantine is empty." in answer
    assert import_report(loop.desk, file, actor=ACTOR).receipt is not None


def quarantined_two(loop: Loop) -> None:
    """Set aside a child's report that opens, and a partner's that does not."""
    taken = loop.send_public().reference
    loop.collect()
    loop.send_public(story=f"He knows where I live <b> {TRICK}")
    resign_newest(loop, reference=taken)
    loop.send_industry()
    loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE door = 'industry'")
    loop.collect()


def test_page_lists_what_is_quarantined_and_opens_a_row_only_by_a_post_that_is_noted(loop: Loop) -> None:
    quarantined_two(loop)
    browser = Browser(loop.desk).sign_in()
    assert '<a href="/quarantine">Read them</a>' in browser.get("/").text
    listed = browser.get("/quarantine").text
    assert "The public form" in listed
    assert "Its reference belongs to another report" in listed
    assert "He knows where I live" not in listed
    assert browser.get("/quarantine/2/open").status_code == 405
    opened = browser.post("/quarantine/2/open").text
    assert "Not verified: it may be forged." in opened
    assert "He knows where I live &lt;b&gt;" in opened
    assert "who_must_not_know" not in opened  # left blank
    assert "\u202e" not in opened
    assert [actor for actor, _ in audited(loop)] == ["a-assessor"]
    assert "He knows where I live" not in browser.get("/quarantine").text
    assert "It cannot be decrypted, because it cannot be read." in browser.post("/quarantine/1/open").text
    assert [browser.post(f"/quarantine/{number}/open").status_code for number in ("9", "x", "9" * 16)] == [404] * 3


def test_row_leaves_the_list_once_a_person_has_chosen_how_it_was_dealt_with(loop: Loop) -> None:
    quarantined_two(loop)
    browser = Browser(loop.desk).sign_in()
    browser.get("/quarantine")
    unsaid = browser.post("/quarantine/2/dismiss", how="known")
    assert unsaid.status_code == 409
    assert has_fault_read_with(unsaid.text, "how")
    assert "up to this one" not in unsaid.text
    assert browser.post("/quarantine/2/dismiss", how="police-told").status_code == 303
    assert browser.post("/quarantine/2/dismiss", how="police-told").status_code == 404
    assert "The public form" not in browser.get("/quarantine").text
    with loop.desk.store.read() as connection:
        rows = list_quarantined(connection, with_resolved=True)
    assert [(row.id, row.resolution) for row in rows if row.resolved_at] == [(2, "police-told")]


def test_every_cause_has_words() -> None:
    of_reports = (one for one in Path("gateway/desk/collection").glob("*.py") if not one.name.startswith("evidence_"))
    sources = [*of_reports, *map(Path, ("gateway/desk/vault/holder.py", ENVELOPE))]
    raised = {name for file in sources for name in list_reasons(file)}
    assert len(raised) >= 18
    assert (
        set(EXPLANATIONS) == {*raised, KEY_ENDED, DUPLICATE_ID, UNREADABLE_CONTENT, *get_args(FaultKind)} - NOT_OF_ROWS
    )


def list_reasons(file: Path) -> Iterator[str]:
    """Yield the reasons with which a module refuses a row, as written in its source."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in {"RowRefusedError", "OpeningError", "_clash"}:
            yield from (one.value.value for one in node.keywords if isinstance(one.value, ast.Constant))
        elif isinstance(node, ast.Assign) and "reason" in {getattr(one, "id", "") for one in node.targets}:
            yield from (one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant) and one.value)
