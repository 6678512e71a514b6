"""Evidence is one more step of `collect`: the last one, bounded, and its faults hold up nothing else."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.cases.case_files import save_file
from gateway.desk.collection.evidence_collecting import EvidenceCollected
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.terminal import DONE, LOOK
from gateway.desk.running.cli import main
from gateway.desk.running.commands import collecting
from gateway.exchange.feed import EvidenceRow, ItemKind, ItemPage
from partner_sdk.errors import FormatError, LocalStateError
from tests.desk.desk_loop import ACTOR, Loop, page_of
from tests.desk.evidence_builders import (
    PART,
    SEGMENT_TEXT,
    blob_files,
    collect,
    held,
    make_film,
    newest_case,
    open_door,
    part_files,
    post,
    seal_with,
    send_film,
    waiting,
)
from tests.desk.mail_server import run_receiver
from tests.desk.outbox.test_outbox_commands import set_up
from tests.desk.running.commands.test_unexpected import answer_with, make_round, served

__all__ = ["served"]


def run(loop: Loop, *words: str) -> int:
    return main(["collect", "--state", str(loop.desk.paths.state), *words])


def test_collect_brings_reports_and_evidence_and_says_so(served: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    film = send_film(served)
    assert run(served) == DONE
    said = capsys.readouterr().out
    assert "filed: 1" in said
    assert f"evidence: collected 1, fetched bytes {film.sealed.size_bytes}" in said
    assert (held(served), waiting(served)) == ([film.evidence_id], [])
    assert run(served, "--json") == DONE
    assert json.loads(capsys.readouterr().out)["evidence"]["collected"] == 0


def test_evidence_that_is_not_right_is_said_and_gives_the_exit_code_to_look(
    served: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    film = send_film(served)
    for path in blob_files(served, film):
        path.write_bytes(b"x" * film.sealed.size_bytes)
    assert run(served) == LOOK
    assert "spoiled 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/feed/items/evidence", 200, b"nonsense"),
        ("/feed/items/evidence", 500, b""),
        ("/feed/items/evidence", 401, b""),
        ("/feed/acknowledgements", 200, b"{}"),
    ],
)
def test_answer_about_evidence_that_makes_no_sense_keeps_back_no_report_and_no_page(
    served: Loop, path: str, status: int, body: bytes
) -> None:
    send_film(served, priority="P1")
    with run_receiver() as posts:
        set_up(served, pager=posts.url)
        answer_with(served, path, status=status, body=body)
        assert collecting._collect_or_complain(make_round(served)) != DONE
        assert len(posts.taken) == 1
    assert served.count("cases") == 2


def test_report_and_page_are_out_before_the_first_part_is_asked_for(
    served: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_film(served, priority="P1")
    seen: list[tuple[int, int]] = []
    with run_receiver() as posts:
        set_up(served, pager=posts.url)
        fetch = FeedClient.get_evidence_part

        def note(self: FeedClient, **named: Any) -> bytes:
            seen.append((served.count("cases"), len(posts.taken)))
            return fetch(self, **named)

        monkeypatch.setattr(FeedClient, "get_evidence_part", note)
        collecting._collect_or_complain(make_round(served))
    assert seen == [(2, 1)]


@pytest.mark.parametrize(("every", "seconds"), [(1.0, collecting.EVIDENCE_SECONDS), (None, None)])
def test_evidence_gets_a_while_of_each_round_and_all_the_time_of_a_single_run(
    served: Loop, monkeypatch: pytest.MonkeyPatch, every: float | None, seconds: float | None
) -> None:
    given: list[object] = []

    def note(*_: object, **named: object) -> EvidenceCollected:
        given.append(named["seconds"])
        return EvidenceCollected()

    monkeypatch.setattr(collecting, "collect_evidence", note)
    make_round(served, every=every)()
    assert given == [seconds]
    assert collecting.EVIDENCE_SECONDS <= 60


def test_disk_that_fails_at_evidence_is_said_and_the_reports_are_kept(
    served: Loop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LocalStateError("The evidence could not be saved: no space.", reason="not-saved")

    send_film(served)
    monkeypatch.setattr("gateway.desk.collection.evidence_holdings.SealedParts.write_part", fail)
    assert collecting._collect_or_complain(make_round(served)) == LOOK
    assert "no space" in capsys.readouterr().err
    assert served.count("cases") == 2


def test_memory_stays_flat_while_evidence_comes_in_and_is_opened(loop: Loop, tmp_path: Path) -> None:
    film = make_film(b"\x5a" * (6 * PART))
    post(open_door(loop), seal_with(loop, [film.reference]))
    loop.collect()
    row_of = {
        "digest": film.sealed.digest,
        "evidence_id": film.evidence_id,
        "part_sha256": film.sealed.sha256,
        "partner": loop.partner.partner,
        "size_bytes": film.sealed.size_bytes,
    }
    for number, part in enumerate(film.sealed.parts):
        (tmp_path / str(number)).write_bytes(part)

    class FromDisk(FeedClient):
        """A gateway that is not in this process's memory."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of(EvidenceRow(**row_of))

        def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
            return (tmp_path / str(part)).read_bytes()

        def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
            return len(items)

    feed = loop.make_feed(FromDisk)
    tracemalloc.start()
    try:
        assert collect(loop, feed).collected == 1
        collecting_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        out = tmp_path / "film.bin"
        save_file(loop.desk, newest_case(loop).case_id, "file-1", to=out, actor=ACTOR)
        opening_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.stat().st_size == 6 * PART
    assert len(part_files(loop, film)) == 7
    assert collecting_peak < 2.5 * PART
    assert opening_peak < 8 * SEGMENT_TEXT


def test_part_that_is_larger_than_a_part_is_not_read_to_its_end(served: Loop) -> None:
    film = send_film(served)
    path = f"/feed/evidence/{served.partner.partner}/{film.evidence_id}/0"
    answer_with(served, path, status=200, body=b"x" * (PART + 1))
    with pytest.raises(FormatError):
        served.desk.make_feed().get_evidence_part(partner=served.partner.partner, evidence_id=film.evidence_id, part=0)
    served.collect()
    assert collect(served).spoiled == 1
