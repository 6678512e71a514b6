"""Filing: a case takes values from its report, also on desks whose earlier cases took fewer."""

from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import get_case
from gateway.desk.store.schema import CASES
from gateway.exchange.public_report import Meeting
from tests.desk.desk_loop import Loop


def file_one(loop: Loop, **changes: Any) -> dict[str, Any]:
    reference = loop.send_public(**changes).reference
    loop.collect()
    with loop.desk.store.read() as connection:
        get_case(connection, reference)
        row = connection.execute(select(CASES).where(CASES.c.reference == reference)).one()
        return dict(row._mapping)


def test_case_takes_over_what_it_is_answered_by(loop: Loop) -> None:
    case = file_one(loop, reply_by="2026-12-02", region="not_uk", country="fr", reply_key="A" * 1622)
    assert (case["reply_by"], case["region"], case["country"]) == ("2026-12-02", "not_uk", "fr")
    assert (case["has_reply_key"], case["redirected_to"]) == (True, None)


def test_what_was_skipped_is_nothing(loop: Loop) -> None:
    case = file_one(loop)
    assert [case[name] for name in ("reply_by", "country", "redirected_to")] == [None] * 3
    assert [case[name] for name in ("has_reply_key", "flagged", "crisis")] == [False] * 3


@pytest.mark.parametrize(
    ("signals", "flagged"),
    [((), False), (("danger-called",), False), (("fast",), True), (("danger-carry_on", "honeypot"), True)],
)
def test_doubt_about_who_typed_is_a_flag_and_the_word_about_999_is_none(
    loop: Loop, signals: tuple[str, ...], flagged: bool
) -> None:
    assert file_one(loop, danger="yes", signals=signals)["flagged"] is flagged


@pytest.mark.parametrize(
    ("when", "factor", "crisis"),
    [
        ("today", "meeting_today", True),
        ("next_days", "meeting_soon", True),
        ("later", None, False),
        ("no_day", None, False),
        ("", None, False),
    ],
)
def test_meeting_is_soon_today_and_in_the_next_days(loop: Loop, when: str, factor: str | None, crisis: bool) -> None:
    case = file_one(loop, kinds=("wants_to_meet",), meeting=Meeting(place="", when=when))
    meetings = [code for code in case["factors"].split() if code.startswith("meeting")]
    assert meetings == [*([factor] if factor else []), "meeting_asked"]
    assert (case["crisis"], case["crisis_since"]) == (crisis, case["collected_at"] if crisis else None)


def test_partners_case_has_none_of_it(loop: Loop) -> None:
    loop.send_industry()
    loop.collect()
    with loop.desk.store.read() as connection:
        row = connection.execute(select(CASES)).one()
    assert (row.has_reply_key, row.flagged, row.region) == (False, False, None)
