"""`set-aside open`: a person reads a row's sealed content, as far as it opens; isolated, unverified, and noted."""

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest

from gateway.desk.cli import main
from gateway.desk.collection.importing import import_report
from gateway.desk.partners.key_ends import suspend_partner
from gateway.desk.terminal import DONE, LOOK, WRONG_USE
from partner_sdk.wire.envelope import KEY_ID_BYTES
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import SealedReport, make_clear_fields, sign_for_envelope
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import make_film, seal_with, tell_of
from tests.desk.forgery import newest_statement, resign_newest
from tests.desk.import_builders import make_file

TRICK = "\x1b[2J\u202e"


class Said(NamedTuple):
    code: int
    lines: list[str]


@pytest.fixture
def open_it(loop: Loop, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*words: str) -> Said:
        code = main(["set-aside", "open", *words, "--as", ACTOR, "--state", str(loop.desk.paths.state)])
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
