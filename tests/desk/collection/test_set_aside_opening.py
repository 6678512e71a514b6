"""`set-aside open`: a person reads a row's sealed content, as far as it opens; isolated, unverified, and noted."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from gateway.desk.cli import main
from gateway.desk.collection.collect import DUPLICATE_ID
from gateway.desk.collection.importing import import_report
from gateway.desk.collection.row_checks import KEY_ENDED
from gateway.desk.collection.set_aside import RESOLUTIONS, list_set_aside
from gateway.desk.collection.set_aside_pages import RESOLUTION_TITLES
from gateway.desk.collection.shelf import EXPLANATIONS
from gateway.desk.partners.key_ends import suspend_partner
from gateway.desk.terminal import DONE, LOOK, WRONG_USE
from partner_sdk.wire.sealing import KEY_ID_BYTES, seal
from partner_sdk.wire.submission import report_context
from tests.builders import SealedReport, make_clear_fields, sign_for_envelope
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import make_film, seal_with, tell_of
from tests.desk.forgery import newest_statement, resign_newest
from tests.desk.import_builders import make_file
from tests.desk.view_builders import Browser, has_fault_read_with

ENVELOPE = "partner_sdk/wire/sealing.py"
# Of another box than a report's, and of a collection that failed.
NOT_OF_ROWS = {"wrong-recipient", "unexpected"}
TRICK = "\x1b[2J\u202e"


class Said(NamedTuple):
    code: int
    lines: list[str]


@pytest.fixture
def open_it(loop: Loop, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*words: str) -> Said:
        code = main(["set-aside", "open", *words, "--state", str(loop.desk.paths.state)])
        return Said(code, capsys.readouterr().out.splitlines())

    return run


def audited(loop: Loop) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        query = "SELECT actor, detail FROM audit WHERE action = 'open-set-aside' ORDER BY id"
        return [(row.actor, row.detail) for row in connection.exec_driver_sql(query)]


def seal_raw(loop: Loop, plain: bytes) -> SealedReport:
    """Seal something that is no report, as a newer program of the partner might, and sign for it."""
    clear = make_clear_fields(loop.partner.partner, priority="P1")
    envelope = seal(plain, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    return SealedReport(clear, envelope, sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key))


def test_row_of_a_child_that_was_set_aside_is_read_and_that_is_noted(loop: Loop, open_it: Callable[..., Said]) -> None:
    taken = loop.send_public().reference
    loop.collect()
    loop.send_public(story="He knows where I live [message]")
    resign_newest(loop, reference=taken)
    loop.collect()
    said = open_it("1")
    assert said.code == DONE
    assert "duplicate-reference" in said.lines[0]
    assert said.lines[1].startswith("NOT VERIFIED: ")
    assert any('"story": "He knows where I live [message]"' in line for line in said.lines)
    assert all(line.startswith("  | ") for line in said.lines[2:])
    assert audited(loop) == [(ACTOR, '{"fault":null}')]
    assert open_it("7").code == WRONG_USE


@pytest.mark.parametrize("comes_as_file", [False, True])
def test_content_of_no_known_form_is_shown_as_it_is_and_none_of_it_passes_for_ours(
    loop: Loop, open_it: Callable[..., Said], *, comes_as_file: bool
) -> None:
    sealed = seal_raw(loop, f"a new form{TRICK}\nFiled and closed.\u2028| ".encode() + b"\xff")
    if comes_as_file:
        assert import_report(loop.desk, make_file(sealed), actor=ACTOR).reason == "unreadable-content"
    else:
        loop.send_industry(sealed)
        assert loop.collect().refused == {"unreadable-content": 1}
    said = open_it("1")
    assert said.code == DONE
    assert not set(TRICK) - set("[2J") & set("".join(said.lines))
    assert [line[:4] for line in said.lines[2:]] == ["  | "] * (len(said.lines) - 2)
    assert said.lines[3].startswith("  | Filed and closed.")
    (text,) = open_it("1", "--json").lines
    assert json.loads(text)["content"].startswith("a new form\x1b[2J")
    assert json.loads(text)["clear"]["priority"] == "P1"
    assert len(audited(loop)) == 2


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "malformed": lambda raw: raw[:3],
    "does-not-open": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    "unknown-key": lambda raw: raw[:1] + bytes(KEY_ID_BYTES) + raw[1 + KEY_ID_BYTES :],
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_row_that_cannot_be_decrypted_is_named_as_such_with_its_cause(
    loop: Loop, open_it: Callable[..., Said], fault: str
) -> None:
    loop.send_public()
    with loop.gateway.store.read() as connection:
        raw = bytes(connection.exec_driver_sql("SELECT envelope FROM reports").scalar_one())
    loop.gateway_sql("UPDATE reports SET envelope = ?", DAMAGED[fault](raw))
    assert loop.collect().refused == {"envelope-mismatch": 1}
    said = open_it("1")
    assert (said.code, len(said.lines)) == (LOOK, 2)
    assert said.lines[1].startswith(f"It cannot be decrypted ({fault}). ")
    asked = open_it("1", "--json")
    assert asked.code == LOOK
    assert (json.loads(asked.lines[0])["content"], json.loads(asked.lines[0])["fault"]) == (None, fault)
    assert audited(loop) == [(ACTOR, f'{{"fault":"{fault}"}}')] * 2


def test_row_opens_under_the_partners_own_fields_where_the_gateway_changed_them(
    loop: Loop, open_it: Callable[..., Said]
) -> None:
    loop.send_industry(priority="P2")
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, priority="P3"))
    loop.collect()
    (text,) = open_it("1", "--json").lines
    assert json.loads(text)["clear"]["priority"] == "P2"


def test_secrets_that_open_evidence_are_left_out(loop: Loop, open_it: Callable[..., Said]) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    film = make_film()
    file = make_file(seal_with(loop, [film.reference], files=[tell_of(film)]))
    assert import_report(loop.desk, file, actor=ACTOR).reason == "key-ended"
    text = "\n".join(open_it("1").lines)
    assert film.evidence_id in text
    assert '"secret"' not in text
    assert film.reference.secret not in text


def set_aside_two(loop: Loop) -> None:
    """Set aside a child's report that opens, and a partner's that does not."""
    taken = loop.send_public().reference
    loop.collect()
    loop.send_public(story=f"He knows where I live <b> {TRICK}")
    resign_newest(loop, reference=taken)
    loop.send_industry()
    loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE door = 'industry'")
    loop.collect()


def test_page_lists_what_is_set_aside_and_opens_a_row_only_by_a_post_that_is_noted(loop: Loop) -> None:
    set_aside_two(loop)
    browser = Browser(loop.desk).sign_in()
    assert '<a href="/set-aside">Read them</a>' in browser.get("/").text
    listed = browser.get("/set-aside").text
    assert "The public form" in listed
    assert "Its reference belongs to another report" in listed
    assert "He knows where I live" not in listed
    assert browser.get("/set-aside/2/open").status_code == 405
    opened = browser.post("/set-aside/2/open").text
    assert "Not verified: it may be forged." in opened
    assert "He knows where I live &lt;b&gt;" in opened
    assert "who_must_not_know" not in opened  # left blank
    assert "\u202e" not in opened
    assert [actor for actor, _ in audited(loop)] == ["a-assessor"]
    assert "He knows where I live" not in browser.get("/set-aside").text
    assert "It cannot be decrypted, because it cannot be read." in browser.post("/set-aside/1/open").text
    assert [browser.post(f"/set-aside/{number}/open").status_code for number in ("9", "x", "9" * 16)] == [404] * 3


def test_row_leaves_the_list_once_a_person_has_chosen_how_it_was_dealt_with(loop: Loop) -> None:
    set_aside_two(loop)
    browser = Browser(loop.desk).sign_in()
    browser.get("/set-aside")
    unsaid = browser.post("/set-aside/2/resolve", how="known")
    assert unsaid.status_code == 409
    assert has_fault_read_with(unsaid.text, "how")
    assert browser.post("/set-aside/2/resolve", how="police-told").status_code == 303
    assert browser.post("/set-aside/2/resolve", how="police-told").status_code == 404
    assert "The public form" not in browser.get("/set-aside").text
    with loop.desk.store.read() as connection:
        rows = list_set_aside(connection, with_resolved=True)
    assert [(row.id, row.resolution) for row in rows if row.resolved_at] == [(2, "police-told")]


def test_every_cause_and_every_resolution_has_words() -> None:
    sources = [*Path("gateway/desk/collection").glob("*.py"), *map(Path, ("gateway/desk/vault/opening.py", ENVELOPE))]
    raised = {name for file in sources for name in list_reasons(file)}
    assert len(raised) >= 18
    assert set(EXPLANATIONS) == {*raised, KEY_ENDED, DUPLICATE_ID} - NOT_OF_ROWS
    assert tuple(RESOLUTION_TITLES) == RESOLUTIONS


def list_reasons(file: Path) -> Iterator[str]:
    """Yield the reasons with which a module refuses a row, as written in its source."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in {"RowRefusedError", "OpeningError", "_clash"}:
            yield from (one.value.value for one in node.keywords if isinstance(one.value, ast.Constant))
        elif isinstance(node, ast.Assign) and "reason" in {getattr(one, "id", "") for one in node.targets}:
            yield from (one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant) and one.value)
