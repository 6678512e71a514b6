"""Older cases come into the index by a job that can be stopped; opening a report for that is not reading it."""

import json

import pytest
from sqlalchemy import Connection, delete, select, update

from gateway.desk.cases import search
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.search import index_cases
from gateway.desk.collection.collect import collect_reports
from gateway.desk.collection.identifiers import INDEX_VERSION
from gateway.desk.running.cli import main
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.audit import check_chain
from gateway.desk.store.schema import AUDIT, CASE_IDENTIFIERS, CASES, REPORTS
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import send
from tests.public_report_builders import make_known_person

Rows = set[tuple[bytes, str, str]]


def list_rows(connection: Connection) -> Rows:
    table = CASE_IDENTIFIERS
    rows = connection.execute(select(table.c.digest, table.c.case_id, table.c.place))
    return {(bytes(row.digest), row.case_id, row.place) for row in rows}


def make_older_cases(loop: Loop, count: int = 3) -> Rows:
    """File reports, and make them cases from before the index; return the rows that they had."""
    for number in range(count):
        loop.send_public(person=make_known_person(app="Other Chat", handle=f"night_owl{number}"))
    send(loop)
    collect_reports(loop.desk, loop.desk.make_feed(), actor=ACTOR)
    with loop.desk.store.write() as connection:
        rows = list_rows(connection)
        connection.execute(delete(CASE_IDENTIFIERS))
        connection.execute(update(CASES).values(index_version=None))
    assert len(rows) >= count * 2
    return rows


@pytest.mark.databases("sqlite", "postgresql")
def test_older_cases_get_the_rows_of_new_ones_and_stay_unread(loop: Loop) -> None:
    rows = make_older_cases(loop)
    with loop.desk.store.read() as connection:
        queued = connection.execute(select(OUTBOX)).all()
    assert index_cases(loop.desk, actor=ACTOR).added == 4
    with loop.desk.store.read() as connection:
        assert list_rows(connection) == rows
        assert set(connection.execute(select(CASES.c.opened_at, CASES.c.index_version)).all()) == {
            (None, INDEX_VERSION)
        }
        assert connection.execute(select(OUTBOX)).all() == queued
        entries = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.action == "index-case")).scalars().all()
        check_chain(connection)
    assert entries == ['{"purpose":"linking"}'] * 4
    assert index_cases(loop.desk, actor=ACTOR).added == 0


def test_run_that_was_stopped_goes_on_where_it_was(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = make_older_cases(loop)
    monkeypatch.setattr(search, "BATCH", 1)

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_cases(loop.desk, actor=ACTOR, progress=stop)
    assert index_cases(loop.desk, actor=ACTOR).added == 2
    with loop.desk.store.read() as connection:
        assert list_rows(connection) == rows


def test_report_that_does_not_open_is_counted_and_tried_again(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    make_older_cases(loop)
    state = str(loop.folder / "desk")
    with loop.desk.store.write() as connection:
        first = connection.execute(select(REPORTS.c.id).order_by(REPORTS.c.id).limit(1)).scalar_one()
        connection.execute(update(REPORTS).where(REPORTS.c.id == first).values(envelope=b"broken"))
    for added in (3, 0):
        assert main(["case", "index", "--json", "--state", state]) == 1
        assert json.loads(capsys.readouterr().out) == {"added": added, "unopened": 1}


def test_lost_key_is_replaced_and_every_case_indexed_anew(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_older_cases(loop)
    index_cases(loop.desk, actor=ACTOR)
    path, state = loop.desk.paths.keys / "identifier.key", str(loop.folder / "desk")
    path.unlink()
    with pytest.raises(CaseError):
        index_cases(loop.desk, actor=ACTOR)
    assert main(["case", "index", "--state", state]) == 2
    assert "--anew" in capsys.readouterr().err
    assert main(["case", "index", "--anew", "--state", state]) == 0
    with loop.desk.store.read() as connection:
        again = list_rows(connection)
    assert len(again) == len(rows)
    assert {digest for digest, *_ in again}.isdisjoint({digest for digest, *_ in rows})
    assert path.stat().st_mode & 0o077 == 0
