"""One list of everything that happened to a case, the newest last: reports, reading, work, messages.

Made from the audit log, which names every act on a case, from the steps, which have the sealed reasons, and from the
times at which reports came and messages left. Holds typed texts only if the report is open beside it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, get_args

from gateway.desk import audit
from gateway.desk.actions.model import KIND_TITLES, Action, format_failure, list_actions
from gateway.desk.actions.recipients import name_recipient
from gateway.desk.acts import FROM_RECIPIENT, ON_ACTION, ON_CASE, TO_RECIPIENT, format_act
from gateway.desk.audit import Act
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import list_additions, list_reports
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.cases.steps import StepKind, list_steps
from gateway.desk.outbox.replies import READ, REPLY, WrittenReply, list_written
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.people.register import find_person, format_person
from gateway.desk.people.releases import KINDS
from gateway.desk.wiring import Desk

# More than a person reads: the oldest acts are left out of the page, never of the audit log.
MOST_ACTS: Final = 200
_READ: Final = "open-case"
# The acts on the page that are no steps: those come with their reasons (case_work.py).
_NO_STEPS: Final = tuple(act for act in ON_CASE if act.removesuffix("-case") not in get_args(StepKind))
# The codes that `names` may have, e.g. ids of people and destinations; and those with a label of the page.
_NAMED: Final = {"before", "destination", "holder", "means", "other", "outcome", "person", "recipient"}
_TITLED: Final = {"channel", "code", "faculty", "lane", "lane_before", "outcome", "was", "way"}
# The labels of this list alone.
_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "decision": {"granted": "granted", "refused": "refused", "erase": "to be erased, once two people have signed"},
    "holds": {"True": "", "False": "as taken back"},
    "kind": {
        REPLY: "a reply",
        READ: "a note that the report was read",
        **KINDS,
        **{kind: title.lower() for kind, title in KIND_TITLES.items()},
    },
    "request": {"see": "to see the report", "correct": "to correct it", "wipe": "to wipe it"},
    "service": {"": "none is named"},
    "team": {"day": "the day team"},
    "taken_back": {"True": "the outcome that waited for the partner was taken back", "False": ""},
}
# Codes that stand inside a sentence.
_LOWER: Final = {"channel", "lane", "lane_before", "means", "way"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line: `name` is a person or the sender, `done` the rest of the sentence, and `to` a case that it names.

    `is_sealed` means that something was typed that is not open here. `times` and `until` count readings by one person
    without another act between them.
    """

    at: str
    name: str
    done: str
    to: CaseRow | None = None
    reason: str = ""
    note: str = ""
    factors: Sequence[tuple[str, str]] = ()
    is_sealed: bool = False
    is_hot: bool = False
    times: int = 1
    until: str = ""


def make_timeline(
    desk: Desk, lead: CaseRow, steps: Sequence[Event], *, sender: str, reasons: Mapping[str, str] = MappingProxyType({})
) -> list[Event]:
    """Return what happened to a case, the oldest first. `steps` are those of the case, the newest first.

    `reasons` are the sender's, by case id, of opened reports.
    """
    with desk.store.read() as connection:
        reports = list_reports(connection, lead.first_id)
        ids = [one.case_id for one in reports]
        added = [one for one in list_additions(connection, lead) if one.case_id not in ids]
        acts = audit.list_acts(connection, subjects=ids, actions=_NO_STEPS, most=MOST_ACTS)
        replies = list_written(connection, case_id=lead.case_id)
        actions = list_actions(connection, case_id=lead.case_id)
    lines = describe_acts(desk, lead, acts, actions)
    events = [
        *(_receive(one, lead, sender=sender, reason=reasons.get(one.case_id, "")) for one in (*reports, *added)),
        *lines,
        *reversed(steps),
        *_list_messages(replies, actions),
    ]
    # Stable: acts of one moment keep the order above.
    return _join_readings(sorted(events, key=lambda one: one.at))


def describe_acts(desk: Desk, case: CaseRow, acts: Sequence[Act], actions: Sequence[Action]) -> list[Event]:
    """Return the lines of a case's acts, e.g. "Kent Police took the package"; two acts that say the same are one line.

    `actions` are those of the case.
    """
    known = {one.action_id: one for one in actions}
    actors = {act.actor for act in acts}
    with desk.store.read() as connection:
        chosen = {str(step.detail["action_id"]) for step in list_steps(connection, case, kinds={"choose-body"})}
        holders = {str(act.detail["holder"]) for act in acts if "holder" in act.detail}
        names = {one: format_person(connection, one) for one in actors | holders}
        people = {BY_THE_DESK, *(one for one in actors if find_person(connection, one) is not None)}
        names |= {one: name_recipient(desk, connection, one) for one in actors - people}
        recipients = {
            one.action_id: name_recipient(desk, connection, one.recipient, kind=one.kind) for one in known.values()
        }
    said = {(act.action, act.detail.get("action_id"), act.detail.get("kind")) for act in acts}
    lines = list[Event]()
    for act in acts:
        action = known.get(str(act.detail.get("action_id")))
        if action is None:
            lines.append(Event(act.at, names[act.actor], describe_act(act.action, act.detail, names=names)))
        elif not _is_said_twice(act, action, said=said, chosen=chosen):
            done = _describe_on_action(act, action, recipient=recipients[action.action_id], is_own=act.actor in people)
            lines.append(Event(act.at, names[act.actor], done))
    return lines


def _is_said_twice(
    act: Act, action: Action, *, said: Collection[tuple[str, object, object]], chosen: Collection[str]
) -> bool:
    """Return whether another line says this: a choice of a body is a draft, and an entry says what it brought about."""
    answers = {"acknowledge-action": ("acknowledge",), "answer-action": ("answer", "outcome", "decline")}
    if act.action in answers:
        return any(("take-thread-entry", action.action_id, kind) in said for kind in answers[act.action])
    return (
        (act.action == "draft-action" and action.action_id in chosen)
        or (act.action == "withdraw-action" and ("write-thread-entry", action.action_id, "recall") in said)
        or (act.action == "write-thread-entry" and act.detail["kind"] == "close")
    )


def _describe_on_action(act: Act, action: Action, *, recipient: str, is_own: bool) -> str:
    """Return an act on an action as a sentence; `is_own`: a person of this desk did it, or wrote it down."""
    kind = KIND_TITLES[action.kind].lower()
    failure = format_failure(str(act.detail.get("code", "")))
    words = {
        "a_kind": _add_article(kind),
        "destination": recipient,
        "failure": failure[0].lower() + failure.removesuffix(".")[1:],
        "kind": kind,
        "recipient": recipient,
    }
    if act.action == "write-thread-entry":
        return TO_RECIPIENT[act.detail["kind"]].format_map(words)
    if act.action in ON_ACTION:
        return ON_ACTION[act.action].format_map(words)
    if act.action != "take-thread-entry":
        return describe_act(act.action, act.detail)
    done = FROM_RECIPIENT[act.detail["kind"]].format_map(words)
    return f"recorded that {recipient} {done}" if is_own else done


def describe_act(action: str, codes: Mapping[str, Any], *, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return an act as a sentence, e.g. "took the case over from B Analyst"; `names` has the ids among its codes."""

    def format_code(name: str) -> str:
        if name == "a_kind":
            kind = format_code("kind")
            return _add_article(kind) if kind else ""
        if name not in codes:
            return ""
        code = "" if codes[name] is None else str(codes[name])
        labels = names if name in _NAMED else _LABELS.get(name, {})
        words = labels.get(code, title_of(code) if name in _TITLED else code)
        return words.lower() if name in _LOWER else words

    return format_act(action, format_code)


def _add_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _receive(report: CaseRow, first: CaseRow, *, sender: str, reason: str) -> Event:
    kind = title_of(report.report_kind).lower() if report.report_kind else "report" if report == first else "addition"
    done = f"sent {_add_article(kind)}, {report.priority}"
    return Event(
        report.received_at,
        sender,
        f"{done}, crisis:" if report.crisis and report != first else f"{done}:",
        to=report,
        reason=reason,
        is_hot=report.opened_at is None and report.closed_at is None,
    )


def _list_messages(replies: Iterable[WrittenReply], actions: Iterable[Action]) -> Iterator[Event]:
    for reply in replies:
        what = "reply" if reply.kind == "reply" else "note that the report was read"
        if reply.posted_at:
            yield Event(reply.posted_at, "The gateway", f"took the {what}")
        if reply.no_place_at:
            yield Event(reply.no_place_at, "The gateway", f"refused the {what}: its return code is gone")
    for action in actions:
        if action.posted_at:
            yield Event(action.posted_at, "The gateway", f"took the {KIND_TITLES[action.kind].lower()}")


def _join_readings(events: Iterable[Event]) -> list[Event]:
    joined = list[Event]()
    for one in events:
        last = joined[-1] if joined else None
        if last is not None and one.done == ON_CASE[_READ] and (last.name, last.done) == (one.name, one.done):
            joined[-1] = replace(last, times=last.times + 1, until=one.at)
        else:
            joined.append(one)
    return joined
