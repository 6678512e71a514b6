"""Filing: what a case takes over from its report, and desks from before that took less."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select

from gateway.desk.casework.cases import get_case, list_cases
from gateway.desk.store import engine, open_store
from gateway.desk.store.schema import CASES
from gateway.guidance.risk import combine
from partner_sdk.wire.public_report import Meeting
from tests.desk.desk_loop import Loop


def file_one(loop: Loop, **changes: Any) -> dict[str, Any]:
    reference = loop.send_public(**changes).reference
    loop.collect()
    with loop.desk.store.read() as connection:
        get_case(connection, reference)
        row = connection.execute(select(CASES).where(CASES.c.reference == reference)).one()
        return dict(row._mapping)


def test_case_takes_over_what_it_is_answered_by(loop: Loop) -> None:
    case = file_one(loop, reply_by="2026-12-02", region="wales", country="uk", reply_key="A" * 1622)
    assert (case["reply_by"], case["region"], case["country"]) == ("2026-12-02", "wales", "uk")
    assert (case["has_reply_key"], case["redirected_to"]) == (True, None)


def test_what_was_skipped_is_nothing(loop: Loop) -> None:
    case = file_one(loop)
    assert [case[name] for name in ("reply_by", "region", "country", "redirected_to")] == [None] * 4
    assert [case[name] for name in ("has_reply_key", "flagged", "crisis")] == [False] * 3


@pytest.mark.parametrize(
    ("signals", "flagged"),
    [((), False), (("danger-called",), False), (("fast",), True), (("danger-went-on", "honeypot"), True)],
)
def test_doubt_about_who_typed_is_a_flag_and_the_word_about_999_is_none(
    loop: Loop, signals: tuple[str, ...], flagged: bool
) -> None:
    assert file_one(loop, signals=signals)["flagged"] is flagged


@pytest.mark.parametrize(
    ("when", "factor", "crisis"),
    [
        ("today", "meeting_today", True),
        ("next_days", "meeting_soon", True),
        ("later", "meeting_asked", False),
        ("no_day", "meeting_asked", False),
        ("", None, False),
    ],
)
def test_meeting_is_soon_today_and_in_the_next_days(loop: Loop, when: str, factor: str | None, crisis: bool) -> None:
    case = file_one(loop, meeting=Meeting(place="", when=when))
    assert [code for code in case["factors"].split() if code.startswith("meeting")] == ([factor] if factor else [])
    assert (case["crisis"], case["crisis_since"]) == (crisis, case["collected_at"] if crisis else None)


def test_partners_case_has_none_of_it(loop: Loop) -> None:
    loop.send_industry()
    loop.collect()
    with loop.desk.store.read() as connection:
        row = connection.execute(select(CASES)).one()
    assert (row.has_reply_key, row.flagged, row.region) == (False, False, None)


def test_desk_from_before_gets_the_columns_and_keeps_its_cases(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    path.touch(mode=0o600)
    old = engine.DeskStore(engine._make_engine(path))
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    with old.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO cases (case_id, environment, partner, report_id, reference, door, priority, received_at, "
            "collected_at, danger, reply_owed, synthetic) VALUES ('one', 'live', 'public', 'r', 'K7QF-2M9TX-D', "
            "'public', 'P3', '2026-11-01T08:00:00Z', '2026-11-01T09:00:00Z', 0, 1, 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO reports (environment, partner, report_id, door, kind, priority, earlier_reference, "
            "schema_version, reference, instance, epoch, sequence, received_at, collected_at, intake_sha256, "
            "envelope_sha256, intake, envelope) VALUES ('live', 'public', 'r', 'public', 'supplement', 'P3', "
            "'C5H6-6S35C-3', '1', 'K7QF-2M9TX-D', 'g', 'e', 1, '2026-11-01T08:00:00Z', '2026-11-01T09:00:00Z', "
            "x'01', x'02', x'03', x'04')"
        )
        links = "INSERT INTO chain_links VALUES ('g', 'e', ?, ?, x'00', 0)"
        connection.exec_driver_sql(links, (1, b"\x01"))
        connection.exec_driver_sql(links, (2, b"\x05"))  # of a report that is not here
    old.close()
    store = open_store(path)
    with store.read() as connection:
        case = get_case(connection, "K7QF-2M9TX-D")
        assert (case.has_reply_key, case.flagged, case.reply_by) == (False, False, None)
        assert (case.factors, case.crisis, case.score, case.crisis_since) == ("", False, 0, None)
        assert (case.adds_to, case.reply_key_sha256) == ("C5H6-6S35C-3", None)
        rows = connection.exec_driver_sql(
            "SELECT partner, sequence, epoch, statement_sha256, followed FROM chain_links"
        )
        assert rows.all() == [("public", 1, "e", b"\x01", 1)]
        for table in ("reply_messages", "notes", "alerts", "outbox"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0  # noqa: S608 - our own names
    store.close()


def test_cases_of_a_desk_from_before_are_weighed_by_the_flags_that_they_had(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    path.touch(mode=0o600)
    old = engine.DeskStore(engine._make_engine(path))
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    rows = (
        ("calm", "public", "P3", 0, 0),
        ("danger", "public", "P1", 1, 1),
        ("soon", "public", "P3", 0, 1),
        ("p2", "example-chat", "P2", 0, 0),
        ("childs-p2", "public", "P2", 0, 0),
    )
    with old.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        for row in rows:
            connection.exec_driver_sql(
                "INSERT INTO cases (case_id, partner, priority, danger, meeting_soon, environment, report_id, "
                "reference, door, received_at, collected_at, reply_owed, synthetic) VALUES (?, ?, ?, ?, ?, 'live', "
                "?, ?, 'public', '2026-11-01T08:00:00Z', '2026-11-01T09:00:00Z', 0, 0)",
                (*row, row[0], row[0]),
            )
    old.close()
    store = open_store(path)
    with store.read() as connection:
        found = {one.case_id: one for one in list_cases(connection)}
    store.close()
    assert [(one.case_id, one.crisis, one.score, one.factors) for one in found.values()] == [
        ("danger", True, 215, "danger_now meeting_soon p1_stated"),
        ("soon", True, 75, "meeting_soon"),
        ("p2", False, 15, "p2_stated"),
        ("calm", False, 0, ""),
        ("childs-p2", False, 0, ""),
    ]
    assert {one.crisis_since for one in found.values() if one.crisis} == {"2026-11-01T09:00:00Z"}
    assert {one.crisis_since for one in found.values() if not one.crisis} == {None}
    # What the migration writes is what the rules say: a later join weighs them together.
    for one in found.values():
        risk = combine(one.factors)
        assert (risk.crisis, risk.score, risk.text) == (one.crisis, one.score, one.factors)
