"""Adds cases that are here already to the index of identifiers; can be stopped at any time and goes on where it was.

Opening a report for this is not reading it: the case is not marked, its sender learns nothing, and the audit log says
that the purpose was linking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, or_, select, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseError, to_case
from gateway.desk.cases.opening import open_report
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.identifiers.index import INDEX_VERSION, add_rows, make_rows, remove_rows
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.key_files import KeyRole

LINKING: Final = "linking"
# One transaction: a stopped run has done at most so many for nothing.
BATCH: Final = 50
Progress = Callable[[int], None]


@dataclass(slots=True)
class Indexed:
    """The result of one run: cases added, and those whose report does not open."""

    added: int = 0
    unopened: int = 0


def index_cases(desk: Desk, *, actor: str, is_anew: bool = False, progress: Progress | None = None) -> Indexed:
    """Index every case that is not indexed by today's rules.

    `is_anew` indexes all cases, under a new key if the old one is lost. Raises `CaseError` (`no-identifier-key`) before
    the first case.
    """
    _check_key(desk, actor=actor, is_anew=is_anew)
    signer, done, after = desk.load_signer(), Indexed(), ""
    is_due = or_(CASES.c.index_version.is_(None), CASES.c.index_version < INDEX_VERSION)
    while True:
        query = select(CASES).where(CASES.c.case_id > after, ~CASES.c.synthetic, CASES.c.destroyed_at.is_(None))
        query = (query if is_anew else query.where(is_due)).order_by(CASES.c.case_id).limit(BATCH)
        with desk.store.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return done
        after = rows[-1].case_id
        reports = _open_all(desk, rows, actor=actor)
        index, now = make_rows(signer, reports), desk.clock()
        with desk.store.write() as connection:
            # A case that was deleted meanwhile has no row to refer to.
            kept = set(connection.execute(select(CASES.c.case_id).where(CASES.c.case_id.in_(reports))).scalars())
            for case_id in kept:
                remove_rows(connection, case_id)
                audit.append_entry(connection, "index-case", case_id, at=now, actor=actor, purpose=LINKING)
            add_rows(connection, index.keep(kept))
            connection.execute(update(CASES).where(CASES.c.case_id.in_(kept)).values(index_version=index.version))
        done.added += len(kept)
        done.unopened += len(rows) - len(reports)
        if progress is not None:
            progress(done.added)


def _check_key(desk: Desk, *, actor: str, is_anew: bool) -> None:
    name = KeyRole.IDENTIFIER.value
    try:
        desk.read_key(KeyRole.IDENTIFIER)
    except LocalStateError as error:
        if not is_anew:
            raise CaseError(
                f"This desk has no key for its index of identifiers. Restore keys/{name}.key from a backup, or make a "
                "new one and index every case again: `case index --anew`.",
                reason="no-identifier-key",
            ) from error
        desk.load_signer().make_key(name)
        with desk.store.write() as connection:
            audit.append_entry(connection, "make-key", name, at=desk.clock(), actor=actor)


def _open_all(desk: Desk, rows: Sequence[Row[Any]], *, actor: str) -> dict[str, SealedContent]:
    reports = {}
    for row in rows:
        try:
            reports[row.case_id] = open_report(desk, to_case(row), actor=actor, reason="link")
        except (OpeningError, FormatError):
            continue  # its key was destroyed at the end of its time
    return reports
