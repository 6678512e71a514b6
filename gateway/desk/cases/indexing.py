"""Adds cases that are here already to the index of identifiers; can be stopped at any time and goes on where it was.

Opening a report for this is not reading it: the case is not marked, its sender learns nothing, and the audit log says
that the purpose was linking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, or_, select, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseError, CaseRow, get_case, to_case
from gateway.desk.cases.opening import open_report
from gateway.desk.cases.steps import StepKind, StepText, add_step, list_steps, open_texts
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.identifiers.extracting import list_nicknames
from gateway.desk.identifiers.index import INDEX_VERSION, add_rows, hold_account, make_rows, remove_rows
from gateway.desk.identifiers.normalising import Identifier, normalise_account, normalise_username
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.public_report import PublicReport

LINKING: Final = "linking"
NAMED: Final[StepKind] = "name-account"
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
        accounts = {case_id: _list_accounts(desk, case_id, report, actor=actor) for case_id, report in reports.items()}
        with desk.store.write() as connection:
            # A case that was deleted meanwhile has no row to refer to.
            kept = set(connection.execute(select(CASES.c.case_id).where(CASES.c.case_id.in_(reports))).scalars())
            for case_id in kept:
                remove_rows(connection, case_id)
                audit.append_entry(connection, "index-case", case_id, at=now, actor=actor, purpose=LINKING)
            add_rows(connection, index.keep(kept))
            for case_id, names in accounts.items():
                for name in names if case_id in kept and index.version is not None else ():
                    hold_account(signer, connection, case_id, name)
            connection.execute(update(CASES).where(CASES.c.case_id.in_(kept)).values(index_version=index.version))
        done.added += len(kept)
        done.unopened += len(rows) - len(reports)
        if progress is not None:
            progress(done.added)


def name_account(desk: Desk, wanted: str, nickname: str, *, actor: str) -> CaseRow:
    """Record that a nickname in the words of a report is an account of its case, on the service that the person named.

    It then ties cases as an account in a field does. Raises `CaseError` (`unknown-case`, `not-opened`,
    `unknown-nickname`, `account-named`), `OpeningError`, `FormatError`.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    if found.opened_at is None:
        raise CaseError("This report is still unread: open it first.", reason="not-opened")
    report = open_report(desk, found, actor=actor, reason="link")
    if not isinstance(report, PublicReport) or nickname not in list_nicknames(report):
        raise CaseError("The words of this report have no such name.", reason="unknown-nickname")
    identifiers = _identify(report, nickname)
    if identifiers in _list_accounts(desk, found.case_id, report, actor=actor):
        raise CaseError("This name is an account of the case already.", reason="account-named")
    with desk.store.write() as connection:
        add_step(desk, connection, found.case_id, NAMED, actor=actor, text=StepText(note=nickname))
        hold_account(desk.load_signer(), connection, found.case_id, identifiers)
    return found


def _identify(report: SealedContent, nickname: str) -> list[Identifier]:
    service = report.person.app if isinstance(report, PublicReport) else ""
    every = (normalise_username(nickname), normalise_account(service, nickname))
    return [one for one in every if one is not None]


def _list_accounts(desk: Desk, case_id: str, report: SealedContent, *, actor: str) -> list[list[Identifier]]:
    """Return the accounts that people named from the words of a report, each in every way that it is indexed."""
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        steps = [one for one in list_steps(connection, case, kinds=(NAMED,)) if one.case_id == case_id]
    texts = open_texts(desk, case, steps, actor=actor, reason="link")
    return [_identify(report, one.note) for one in texts.values()]


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
