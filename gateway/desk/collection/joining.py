"""Joins a sender's later reports to its own earlier one, and links cases about one person or incident to clusters.

An addition makes one case with the first report, whose urgency can only rise. Never joins a report to another sender's,
and never removes one: each keeps its own envelope, kind and place.

A link is a record: two cases, a person and a time; its reason is sealed in the steps of both (`cases/linking.py`).
Records are only ever added (a trigger holds it), and the newest record of two cases decides whether their link stands
or has ended; an end without a link before it refuses a suggested one. A cluster is everything that standing links
connect, in any order of linking: there is no copied id that could fall behind. A sender's later report is linked to
its first one by the desk itself when it is filed. A person may end that link too.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final, Literal

from sqlalchemy import Boolean, Connection, Row, bindparam, case, func, insert, or_, select, update

from gateway.databases.database import stream_rows
from gateway.desk.collection.row_checks import PRIORITIES, UNTOLD, SealedContent
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS
from gateway.desk.store.schema import CASE_ACTIONS, CASE_LINKS, CASES, Tier, of_sender
from gateway.guidance.risk import Risk, combine, find_kind
from partner_sdk.errors import RefusalError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

_MOST_STREAMED: Final = 5000


LinkReason = Literal["linked-already", "no-link", "own-case"]


class LinkError(RefusalError[LinkReason]):
    """Two cases cannot be linked, or their link cannot be ended."""


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """One record about a case: the other case, and whether it links or ends."""

    other_id: str
    is_end: bool
    at: str
    by: str


@dataclass(slots=True)
class Clusters:
    """The clusters of all standing links, by union-find. Cases without a link are clusters of one.

    The cases of a cluster are a ring, each with the next one: texts alone, so that a million links take no list each.
    """

    _newest_record: int = 0
    _parents: dict[str, str] = field(default_factory=dict)
    _next: dict[str, str] = field(default_factory=dict)

    def refresh(self, connection: Connection) -> None:
        """Read the links again if one was recorded since the last time."""
        newest = connection.execute(_LAST).scalar() or 0
        if newest == self._newest_record:
            return
        self._newest_record = newest
        self._parents.clear()
        self._next.clear()
        rows = chain.from_iterable(stream_rows(connection, _ALL, {}, batch=_MOST_STREAMED))
        for (one, other), records in groupby(rows, key=itemgetter(0, 1)):
            *_, (_, _, is_end) = records
            if not is_end:
                self.join(one, other)

    def find(self, case_id: str) -> str:
        """Return one case that stands for the whole cluster, the same for every case in it."""
        parents, root = self._parents, case_id
        while (above := parents.get(root, root)) != root:
            root = above
        while (above := parents.get(case_id, case_id)) != root:
            parents[case_id] = root
            case_id = above
        return root

    def join(self, one: str, other: str) -> None:
        """Make one cluster of those of two cases."""
        root, joined = self.find(one), self.find(other)
        if root == joined:
            return
        self._parents.setdefault(root, root)
        self._parents[joined] = root
        # Two rings become one where two of their cases exchange the next ones.
        after = self._next
        after[root], after[joined] = after.get(joined, joined), after.get(root, root)

    def has_links(self, case_id: str) -> bool:
        """Return whether a link of this case stands."""
        return case_id in self._parents

    def list_members(self, case_id: str) -> tuple[str, ...]:
        """Return every case of the cluster, this one included."""
        members, case = [case_id], self._next.get(case_id, case_id)
        while case != case_id:
            members.append(case)
            case = self._next[case]
        return tuple(members)


def load_clusters(connection: Connection) -> Clusters:
    """Return the clusters of all standing links."""
    clusters = Clusters()
    clusters.refresh(connection)
    return clusters


def list_cluster(connection: Connection, case_id: str) -> frozenset[str]:
    """Return every case of one case's cluster, this one included, step by step along the standing links."""
    found, waiting = {case_id}, [case_id]
    while waiting:
        new = set(_list_linked(connection, waiting.pop())) - found
        found |= new
        waiting += new
    return frozenset(found)


def list_records(connection: Connection, case_id: str) -> list[LinkRecord]:
    """Return the records about a case, the oldest first."""
    rows = connection.execute(_OF_CASE, {"case_id": case_id})
    return [LinkRecord(row.case_b if row.case_a == case_id else row.case_a, row.is_end, row.at, row.by) for row in rows]


def add_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> bool:
    """Link two cases and return True, or return False if their own link stands already.

    Raises `LinkError` for a case and itself.
    """
    if case_id == other_id:
        raise LinkError("That is this case itself. Give the reference of another one.", reason="own-case")
    if _find_newest(connection, case_id, other_id) is False:
        return False
    _record(connection, case_id, other_id, is_end=False, by=by, now=now)
    return True


def end_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> None:
    """End the link of two cases. Raises `LinkError` if they have none of their own that stands."""
    if _find_newest(connection, case_id, other_id) is not False:
        raise LinkError("These two cases have no link of their own. End the links that connect them.", reason="no-link")
    _record(connection, case_id, other_id, is_end=True, by=by, now=now)


def refuse_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> bool:
    """Record that two cases are apart, and return True; False if the newest record ended their link before.

    They are not suggested again, and the desk itself never links them. Raises `LinkError` for a case and itself, and if
    their link stands.
    """
    if case_id == other_id:
        raise LinkError("That is this case itself. Give the reference of another one.", reason="own-case")
    newest = _find_newest(connection, case_id, other_id)
    if newest is False:
        raise LinkError("These two cases are linked already.", reason="linked-already")
    if newest is None:
        _record(connection, case_id, other_id, is_end=True, by=by, now=now)
    return newest is None


def link_additions(connection: Connection, first_id: str, case_ids: Iterable[str], *, now: datetime) -> None:
    """Link a sender's later reports to its first one, unless a person has ever decided about the two."""
    for case_id in case_ids:
        if case_id != first_id and _find_newest(connection, case_id, first_id) is None:
            _record(connection, case_id, first_id, is_end=False, by=BY_THE_DESK, now=now)


def make_values(case_id: str, other_id: str, *, by: str, now: datetime) -> dict[str, object]:
    """Return the row of a new link."""
    first, second = sorted((case_id, other_id))
    return {
        "case_a": first,
        "case_b": second,
        "is_end": False,
        "at": format_time(now),
        "by": by,
    }


def _record(connection: Connection, case_id: str, other_id: str, *, is_end: bool, by: str, now: datetime) -> None:
    connection.execute(_ADD, make_values(case_id, other_id, by=by, now=now) | {"is_end": is_end})


def _find_newest(connection: Connection, case_id: str, other_id: str) -> bool | None:
    """Return whether the newest record of two cases ends their link; None without a record."""
    first, second = sorted((case_id, other_id))
    found: bool | None = connection.execute(_NEWEST, {"first": first, "second": second}).scalar()
    return found


def _list_linked(connection: Connection, case_id: str) -> Iterator[str]:
    standing = {record.other_id: not record.is_end for record in list_records(connection, case_id)}
    return (other_id for other_id, stands in standing.items() if stands)


_ALL: Final = select(CASE_LINKS.c.case_a, CASE_LINKS.c.case_b, CASE_LINKS.c.is_end).order_by(
    CASE_LINKS.c.case_a, CASE_LINKS.c.case_b, CASE_LINKS.c.id
)
_LAST: Final = select(func.max(CASE_LINKS.c.id))
_ADD: Final = insert(CASE_LINKS)
_OF_CASE: Final = (
    select(CASE_LINKS)
    .where(or_(CASE_LINKS.c.case_a == bindparam("case_id"), CASE_LINKS.c.case_b == bindparam("case_id")))
    .order_by(CASE_LINKS.c.id)
)
_NEWEST: Final = (
    select(CASE_LINKS.c.is_end)
    .where(CASE_LINKS.c.case_a == bindparam("first"), CASE_LINKS.c.case_b == bindparam("second"))
    .order_by(CASE_LINKS.c.id.desc())
    .limit(1)
)


RESPONSE: Final = "response"
# A partner's P1 with every sign of harm scores more points than most children. Up to this number of unread ones stay
# among the children's reports: an analyst reads them in an hour or two, and the next ones then come forward.
MOST_AHEAD: Final = 20


def find_request(connection: Connection, clear: ClearFields, content: SealedContent) -> str | None:
    """Return the request that a response answers, or None if that is unclear: then it answers none.

    It is the request that the response names, if it was sent to this partner, and is not about another report of its
    own than the response; or, if the response names none of this partner's requests, the only open one about the
    report. One that was withdrawn or ended is named all the same: what a service sent is never lost.
    """
    if not isinstance(content, SealedIndustryReport) or clear.kind != RESPONSE:
        return None
    asked = select(CASE_ACTIONS).where(*_ASKED_OF, CASE_ACTIONS.c.recipient == clear.partner)
    named = connection.execute(asked.where(CASE_ACTIONS.c.action_id == content.report.answers_request)).first()
    asked_about = None if named is None else _find_case(connection, named.case_id)
    if named is not None and (asked_about is None or asked_about.partner != clear.partner):
        return str(named.action_id)  # about the report of another sender, which this partner does not know
    if clear.earlier_reference is None:
        return None if named is None else str(named.action_id)
    own = {"environment": clear.environment, "partner": clear.partner, "case_id": ""}  # it has no case yet
    reported = connection.execute(_NAMED_BY_REFERENCE, own | {"name": clear.earlier_reference}).first()
    about = None if reported is None else _get_first_id(connection, reported)
    if asked_about is not None and named is not None:
        return str(named.action_id) if _get_first_id(connection, asked_about) == about else None
    whole = select(CASES.c.case_id).where(or_(CASES.c.case_id == about, CASES.c.joined_to == about))
    still_open = asked.where(CASE_ACTIONS.c.case_id.in_(whole), CASE_ACTIONS.c.state.in_(_UNANSWERED)).limit(2)
    found = connection.execute(still_open).all()
    return str(found[0].action_id) if len(found) == 1 else None


def join_cases(connection: Connection, filed: Sequence[Mapping[str, object]], *, now: datetime) -> None:
    """Join new cases to older ones and to each other, once all are in the table, in one transaction.

    Questions are answered, and each report is joined as in `join_case`. The order and the batches in which reports
    arrive make no difference: the gateway's operator controls both. An older case that this brings into the crisis lane
    takes the new one along.
    """
    # Most reports name none and are named by none: one query for all of them.
    references = [values["reference"] for values in filed]
    named = set(connection.execute(_NAMED, {"references": references}).scalars())
    for values in filed:
        if values["answers_request"] is not None:
            _note_answer(connection, values, now=now)
        elif values["adds_to"] is None and values["reference"] not in named:
            continue
        join_case(connection, str(values["case_id"]), now=now)


def join_case(connection: Connection, case_id: str, *, now: datetime) -> set[str]:
    """Join a report to the case that it names, and to it all earlier arrivals that named this report.

    Afterwards all of them are joined to the first report itself, never to one another, and the first is as urgent as
    all of them together. Returns the cases that this brought into the crisis lane.
    """
    # Read from the table: a report joined earlier may have moved this one.
    case = connection.execute(_ONE, {"case_id": case_id}).one()
    earlier = find_named(connection, case)
    if case.partner == PUBLIC_SENDER:
        return _join_public(connection, case, earlier=earlier, now=now)
    stands_alone = case.joined_to is None
    first_id = _get_first_id(connection, case if earlier is None or not stands_alone else earlier)
    joined = [case_id] if stands_alone and first_id != case_id else []
    joined += _list_waiting(connection, case, first_id=first_id)
    if not joined:
        return set()
    for one in joined:
        _join(connection, one, first_id=first_id)
    link_additions(connection, first_id, joined, now=now)
    connection.execute(_GATHER, {"first_id": first_id})
    return _raise_all(connection, first_id, joined=joined, now=now)


def list_misjoined(connection: Connection) -> list[str]:
    """Return the references of reports that are joined to another report than the first of a case.

    There are none, unless the database was changed by hand or is older than this rule: lists may not show them.
    """
    firsts = select(CASES.c.case_id).where(CASES.c.joined_to.is_(None))
    rows = connection.execute(
        select(CASES.c.reference)
        .where(CASES.c.joined_to.is_not(None), CASES.c.joined_to.not_in(firsts))
        .order_by(CASES.c.received_at, CASES.c.case_id)
    )
    return list(rows.scalars())


def find_named(connection: Connection, case: Any) -> Row[Any] | None:
    """Return the sender's own earlier report named by a report, or the case of the question that it answers.

    `case` is a row of the table, or any object with its names.
    """
    own = {"environment": case.environment, "partner": case.partner, "case_id": case.case_id}
    if case.adds_to is not None:
        return connection.execute(_NAMED_BY_REFERENCE, own | {"name": case.adds_to}).first()
    if case.answers_request is not None:
        return connection.execute(_NAMED_BY_REQUEST, own | {"name": case.answers_request}).first()
    return None


def _get_first_id(connection: Connection, case: Row[Any]) -> str:
    """Follow the joins of a report to the first report of its case."""
    first_id: str = case.case_id
    next_id, seen = case.joined_to, {first_id}
    while next_id is not None and next_id not in seen:
        step = connection.execute(_ONE, {"case_id": next_id}).first()
        if step is None:
            return first_id  # it is joined to no report here
        first_id, next_id = step.case_id, step.joined_to
        seen.add(first_id)
    return first_id


def list_added(connection: Connection, first: Any) -> Sequence[Row[Any]]:
    """Return the sender's additions to a report under either of its references, the oldest first.

    `first` is a row of the table, or any object with its names.
    """
    names = [name for name in (first.reference, first.other_reference) if name is not None]
    own = {"environment": first.environment, "partner": first.partner, "case_id": first.case_id}
    return connection.execute(_ADDITIONS, own | {"names": names}).all()


def list_joined(connection: Connection, first_id: str) -> Sequence[Row[Any]]:
    """Return every report of a case, the first one first, then by time of receipt; none if the case is unknown."""
    mine = or_(CASES.c.case_id == first_id, CASES.c.joined_to == first_id)
    first = (CASES.c.case_id == first_id).desc()
    return connection.execute(select(CASES).where(mine).order_by(first, CASES.c.received_at, CASES.c.case_id)).all()


def _list_waiting(connection: Connection, case: Row[Any], *, first_id: str) -> list[str]:
    """Return separate cases whose reports named this one before its reference was known here."""
    # If reports name each other in a circle, one stays the first: none is hidden.
    added = list_added(connection, case)
    return [one.case_id for one in added if one.joined_to is None and one.case_id != first_id]


def _note_answer(connection: Connection, values: Mapping[str, object], *, now: datetime) -> None:
    """Stop the clock of a request, and link an answer to the case of another sender, which it never joins."""
    request_id, case_id = values["answers_request"], str(values["case_id"])
    answered = {"state": "answered", "answered_at": values["received_at"], "answered_by": values["partner"]}
    is_waiting = (CASE_ACTIONS.c.action_id == request_id, CASE_ACTIONS.c.state.in_(_UNANSWERED))
    connection.execute(update(CASE_ACTIONS).where(*is_waiting).values(answered))
    about = connection.execute(select(CASE_ACTIONS.c.case_id).where(CASE_ACTIONS.c.action_id == request_id)).scalar()
    asked_about = _find_case(connection, about)
    if asked_about is not None and asked_about.partner != values["partner"]:
        link_additions(connection, _get_first_id(connection, asked_about), [case_id], now=now)


def _find_case(connection: Connection, case_id: str | None) -> Row[Any] | None:
    return None if case_id is None else connection.execute(_ONE, {"case_id": case_id}).first()


def _join_public(connection: Connection, case: Row[Any], *, earlier: Row[Any] | None, now: datetime) -> set[str]:
    """Make each public addition at least as urgent as everything the same person sent.

    It stays a separate case: only a return code proves that it is the same person. A proven addition raises the first
    report too; an unproven one raises only itself.
    """
    first = case if case.adds_to is None else earlier
    if first is None:
        return set()
    additions = list_added(connection, first)
    link_additions(connection, first.case_id, (one.case_id for one in additions), now=now)
    own_key = first.reply_key_sha256 if first.adds_to is None else None
    proven = [first, *(one for one in additions if own_key is not None and one.reply_key_sha256 == own_key)]
    together = combine(*(one.factors for one in proven))
    is_told_again = case.crisis and case.case_id in {one.case_id for one in proven}
    raised = set()
    for one in (first, *additions):
        if one.closed_at is not None:
            continue
        risk = together if one in proven else combine(together.text, one.factors)
        is_new = one.case_id == case.case_id
        # A person who lowered the first report had read it: two more words do not raise it again.
        read_before = first if is_new else one
        if not (one.crisis if is_new else is_told_again) and _adds_nothing(risk, than=read_before):
            risk = Risk(read_before.crisis, read_before.score, risk.factors)
        # Adding two words to an urgent report does not make it less urgent.
        priority = one.priority if one is first else min(one.priority, first.priority, key=PRIORITIES.index)
        has_news = not _adds_nothing(risk, than=one)
        connection.execute(_RAISE, _raising(one, risk, priority=priority, has_news=has_news, now=now))
        if risk.crisis and not one.crisis:
            raised.add(one.case_id)
    return raised


def _adds_nothing(risk: Risk, *, than: Row[Any]) -> bool:
    return set(risk.factors) <= set(than.factors.split())


def _raising(one: Row[Any], risk: Risk, *, priority: str, has_news: bool, now: datetime) -> dict[str, object]:
    tier = one.tier
    if risk.crisis and (has_news or not one.crisis):
        own = get_tier(risk, partner=one.partner, priority=priority)
        tier = min(own, one.tier) if one.crisis else own
    return {
        "of": one.case_id,
        "to_factors": risk.text,
        "to_kind": find_kind(risk.factors) or UNTOLD,
        "to_priority": priority,
        "to_crisis": risk.crisis,
        "to_score": risk.score,
        "to_tier": tier,
        "since": format_time(now) if risk.crisis else None,
    }


def get_tier(risk: Risk, *, partner: str, priority: str) -> int:
    """Return the tier of a report by its own factors; a case that only a person put into the lane is a first one."""
    if risk.urgency == "urgent":
        return Tier.UNTOLD
    is_lower = partner != PUBLIC_SENDER and priority != "P1"
    return Tier.LOWER if risk.urgency == "crisis" and is_lower else Tier.FIRST


def get_unhandled_tier(case: Any) -> int:
    """Return the tier of a case without a holder."""
    if case.tier != Tier.HANDLED:
        return int(case.tier)
    return get_tier(combine(case.factors), partner=case.partner, priority=case.priority)


def _join(connection: Connection, case_id: str, *, first_id: str) -> None:
    """Join a case, and the reports already joined to it, to another first report."""
    joined = {"joined": case_id, "first_id": first_id}
    for statement in _JOIN:
        connection.execute(statement, joined)


def _raise_all(connection: Connection, first_id: str, *, joined: Collection[str], now: datetime) -> set[str]:
    """Raise a case, and its unclosed reports, to the urgency of all its reports together; return it if that is new.

    A case that a person lowered rises again when a joining report adds a factor or is a crisis on its own.
    """
    whole = connection.execute(_WHOLE, {"first_id": first_id}).all()
    (first,) = (one for one in whole if one.case_id == first_id)
    new = [one for one in whole if one.case_id in joined]
    _carry_holder(connection, first, new, now=now)
    risk = combine(*(one.factors for one in whole))
    if _adds_nothing(risk, than=first) and not any(one.crisis for one in new):
        risk = Risk(first.crisis, first.score, risk.factors)
    # A person may have raised a newly joined report above its own score.
    every: list[Any] = [risk, first, *(one for one in new if one.crisis or one.score > combine(one.factors).score)]
    crisis = any(one.crisis for one in every)
    risk = Risk(crisis, max(one.score for one in every), risk.factors)
    priority = min((one.priority for one in whole), key=PRIORITIES.index)
    # An addition to an urgent case is no less urgent, even if it is a separate case because that one was closed.
    open_ones = (one for one in whole if one.case_id == first_id or one.closed_at is None)
    raised = [_raising(one, risk, priority=priority, has_news=True, now=now) for one in open_ones]
    connection.execute(_RAISE, raised)
    return {first_id} if crisis and not first.crisis and first.closed_at is None else set()


def _carry_holder(connection: Connection, first: Row[Any], new: Collection[Row[Any]], *, now: datetime) -> None:
    """Let an open case have one holder after a report joined it: its own, else the first to take one of these reports.

    Example: a person took a supplement that came before the report that it adds to.
    """
    held = [one for one in new if one.holder is not None]
    if first.closed_at is not None or not held:
        return
    earliest = min(held, key=lambda one: (one.held_since or one.received_at, one.case_id))
    own = {name: getattr(first if first.holder is not None else earliest, name) for name in ("holder", "held_since")}
    connection.execute(update(CASES).where(CASES.c.case_id == first.case_id).values(own))
    theirs = CASES.c.case_id.in_([one.case_id for one in held])
    connection.execute(update(CASES).where(theirs).values(holder=None, held_since=None))
    audit.append_entry(connection, "carry-holder", first.case_id, at=now, actor=BY_THE_DESK, holder=own["holder"])


def apply_share(connection: Connection, *, partner: str) -> None:
    """Keep a partner's most urgent crisis reports in order, its P1 first, and put the rest after the crisis lane.

    Runs in the transaction that files or opens a report. Only unread reports are held back, and never the public's.
    """
    if partner == PUBLIC_SENDER:
        return
    first = CASES.alias("first")
    is_first_open = select(first.c.case_id).where(first.c.case_id == CASES.c.joined_to, first.c.closed_at.is_(None))
    # Written as in the indexes of the schema, so that no query reads a whole flood.
    unread = (CASES.c.partner == partner, CASES.c.crisis, CASES.c.opened_at.is_(None), CASES.c.closed_at.is_(None))
    # A person's decision put a P2 or P3 among the first: it takes no place of the share, and is never held back.
    is_chosen = (CASES.c.priority != "P1") & (CASES.c.tier == Tier.FIRST)
    lines = (*unread, or_(CASES.c.joined_to.is_(None), ~is_first_open.exists()), ~is_chosen)
    order = (CASES.c.priority, CASES.c.score.desc(), CASES.c.received_at, CASES.c.case_id)
    chosen = select(CASES.c.case_id).where(*lines).order_by(*order).limit(MOST_AHEAD)
    ahead = list(connection.execute(chosen).scalars())
    held = (CASES.c.case_id.in_(ahead), CASES.c.tier == Tier.OVER_SHARE)
    connection.execute(update(CASES).where(*held).values(tier=UNHELD))
    if len(ahead) == MOST_AHEAD:
        others = update(CASES).where(*lines, CASES.c.tier < Tier.OVER_SHARE, CASES.c.case_id.not_in(ahead))
        connection.execute(others.values(tier=Tier.OVER_SHARE))


# A response answers a request that was sent; one by letter has no response.
_ASKED_OF: Final = (
    CASE_ACTIONS.c.kind.in_(("information-request", "preservation-request")),
    CASE_ACTIONS.c.way == "mailbox",
    CASE_ACTIONS.c.sent_at.is_not(None),
)
_UNANSWERED: Final = ("sent", "acknowledged")
# The tier of a partner's report that is no longer over its share; any other tier stays.
UNHELD: Final = case(
    (CASES.c.tier != Tier.OVER_SHARE, CASES.c.tier), (CASES.c.priority == "P1", Tier.FIRST), else_=Tier.LOWER
)
# Prepared once: building a statement costs more than running it.
_ONE: Final = select(CASES).where(CASES.c.case_id == bindparam("case_id"))
_NAMED: Final = select(CASES.c.adds_to).where(CASES.c.adds_to.in_(bindparam("references", expanding=True))).distinct()
# A case that was destroyed is none to add to: the new report stands alone.
_OWN: Final = (
    *of_sender(bindparam("environment"), bindparam("partner")),
    CASES.c.case_id != bindparam("case_id"),
    CASES.c.destroyed_at.is_(None),
)
_NAMED_BY_REFERENCE: Final = select(CASES).where(
    *_OWN, or_(CASES.c.reference == bindparam("name"), CASES.c.other_reference == bindparam("name"))
)
_NAMED_BY_REQUEST: Final = select(CASES).where(
    *_OWN,
    CASES.c.case_id
    == select(CASE_ACTIONS.c.case_id).where(CASE_ACTIONS.c.action_id == bindparam("name")).scalar_subquery(),
)
_ADDITIONS: Final = (
    select(CASES)
    .where(*_OWN, CASES.c.adds_to.in_(bindparam("names", expanding=True)))
    .order_by(CASES.c.received_at, CASES.c.case_id)
)
_JOIN: Final = (
    update(CASES).where(CASES.c.case_id == bindparam("joined")).values(joined_to=bindparam("first_id")),
    # Pages show outcomes with the first report of the case, so that a waiting one can be taken back there.
    update(OUTCOME_SIGNALS)
    .where(OUTCOME_SIGNALS.c.case_id == bindparam("joined"))
    .values(case_id=bindparam("first_id")),
)
_FAMILY: Final = select(CASES.c.case_id).where(CASES.c.case_id == bindparam("first_id")).cte("family", recursive=True)
# Points reports that are joined to a joined report at the first report itself. UNION, not UNION ALL, so that it ends on
# any data.
_GATHER: Final = (
    update(CASES)
    .where(
        CASES.c.case_id.in_(
            select(_FAMILY.union(select(CASES.c.case_id).where(CASES.c.joined_to == _FAMILY.c.case_id)).c.case_id)
        ),
        CASES.c.case_id != bindparam("first_id"),
    )
    .values(joined_to=bindparam("first_id"))
)
_WHOLE: Final = select(CASES).where(
    or_(CASES.c.case_id == bindparam("first_id"), CASES.c.joined_to == bindparam("first_id"))
)
_RAISE: Final = (
    update(CASES)
    .where(CASES.c.case_id == bindparam("of"))
    .values(
        factors=bindparam("to_factors"),
        # Together they may name the kind that one alone left out; no other answer to it is replaced.
        kind=case((CASES.c.kind == UNTOLD, bindparam("to_kind")), else_=CASES.c.kind),
        priority=bindparam("to_priority"),
        # Raised and never lowered: the larger of both.
        crisis=or_(CASES.c.crisis, bindparam("to_crisis", type_=Boolean)),
        tier=bindparam("to_tier"),
        score=case((CASES.c.score > bindparam("to_score"), CASES.c.score), else_=bindparam("to_score")),
        crisis_since=func.coalesce(CASES.c.crisis_since, bindparam("since")),
    )
)
