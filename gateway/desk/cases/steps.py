"""The steps of a case: every act on it, each with its person, time and codes. Rows are only ever added.

Everything typed, e.g. the reason of a move, is sealed to the desk's own key and lies under the key of the case, as the
copies of replies do: it opens with the report, and is lost with the key. The audit log holds the hash of the box, so an
exchanged one shows.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from gateway.desk import audit
from gateway.desk.cases.model import IS_UNREAD, CaseError, CaseRow, has_control_characters, normalise
from gateway.desk.keyring.case_boxes import close_box, get_box
from gateway.desk.keyring.key_set import make_copy_context, seal_own_copy
from gateway.desk.store.schema import CASE_STEPS, CASES, Tier
from gateway.desk.vault import Reason
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.canonical import encode, format_time, parse_exact

# The audit log has each as e.g. `move-case`.
StepKind = Literal[
    "key-in",
    "move",
    "claim",
    "take-over",
    "release",
    "hand-over",
    "assess",
    "advise",
    "pass-on",
    "ask-service",
    "exempt",
    "child-outcome",
    "choose-body",
    "reply",
    "close",
    "reopen",
    "link",
    "unlink",
    "keep-apart",
    "set-service",
    "name-account",
    "legal-hold",
    "lift-hold",
    "request",
    "answer-request",
]
REPLY_STEP: Final[StepKind] = "reply"
# By these its holder has acted on a case, so that it stands below unread ones of the crisis lane.
_ACTS: Final[frozenset[StepKind]] = frozenset(
    {"assess", "pass-on", "ask-service", "child-outcome", "choose-body", "reply"}
)
_HANDLE: Final = (
    update(CASES)
    .where(CASES.c.case_id == bindparam("of"), CASES.c.holder == bindparam("by"), CASES.c.crisis, ~IS_UNREAD)
    .values(tier=Tier.HANDLED)
)
MAX_REASON_CHARACTERS: Final = 300
# As a reply: the reasons of an assessment, and the note that goes with a case to another person.
MAX_NOTE_CHARACTERS: Final = 4_000
# A reason beside each factor of a case, and a note: each character takes up to four bytes, escaped up to six.
_MOST_TEXT_BYTES: Final = 256 * 1024
# More than a person reads at once: the texts of older steps stay closed on the page.
MOST_OPENED_STEPS: Final = 60
_BOX_KIND: Final = "case-step"
# The steps of a case and of the reports joined to it, the newest first; made once, as every page of a case asks often.
_OF_CASE: Final = (
    select(*(CASE_STEPS.c[name] for name in ("id", "step_id", "case_id", "at", "by", "kind", "detail", "box")))
    .where(
        or_(
            CASE_STEPS.c.case_id == bindparam("case_id"),
            CASE_STEPS.c.case_id == bindparam("first_id"),
            CASE_STEPS.c.case_id.in_(select(CASES.c.case_id).where(CASES.c.joined_to == bindparam("case_id"))),
        )
    )
    .order_by(CASE_STEPS.c.id.desc())
)
# The act of the audit log.
READ_STEPS: Final = "read-case-steps"


class StepText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything typed in one step. `factors` gives the reason for each risk factor that was judged, by its code.

    `form` is a whole form as JSON, which another one may start from; the timeline does not show it.
    """

    reason: str = ""
    note: str = ""
    factors: dict[str, str] = {}
    form: str = ""


@dataclass(frozen=True, slots=True)
class CaseStep:
    """One step. `number` gives the order: the clock may have been set back. `box` is its sealed text, if any."""

    number: int
    step_id: str
    case_id: str
    at: str
    by: str
    kind: StepKind
    detail: dict[str, Any]
    box: bytes | None


def add_step(
    desk: Desk,
    connection: Connection,
    case_id: str,
    kind: StepKind,
    *,
    actor: str,
    text: StepText | None = None,
    codes: Mapping[str, audit.Detail] = MappingProxyType({}),
) -> None:
    """Record a step in the caller's transaction. Raises `LocalStateError` (`no-sealing-key`) if it has a text."""
    now, step_id, box, detail = desk.clock(), desk.make_id(), None, dict(codes)
    if text is not None:
        sealed = seal_own_copy(desk, connection, encode(text), purpose="mailbox", message_id=step_id, kind=_BOX_KIND)
        box = close_box(desk.load_signer(), connection, case_id, sealed, kind="step", row_id=step_id)
        detail["box_sha256"] = hashlib.sha256(box).hexdigest()
    connection.execute(
        insert(CASE_STEPS).values(
            step_id=step_id,
            case_id=case_id,
            at=format_time(now),
            by=actor,
            kind=kind,
            detail=encode(detail).decode(),
            box=box,
        )
    )
    if kind in _ACTS:
        connection.execute(_HANDLE, {"of": case_id, "by": actor})
    audit.append_entry(connection, f"{kind}-case", case_id, at=now, actor=actor, **detail)


def list_steps(connection: Connection, case: CaseRow, *, kinds: Collection[StepKind] = ()) -> list[CaseStep]:
    """Return the steps of a case and of all its reports, the newest first: all of them, or those of some kinds."""
    query = _OF_CASE.where(CASE_STEPS.c.kind.in_(kinds)) if kinds else _OF_CASE
    return [_read(row) for row in connection.execute(query, {"case_id": case.case_id, "first_id": case.first_id})]


def list_steps_since(connection: Connection, kind: StepKind, *, since: str) -> list[CaseStep]:
    """Return the steps of one kind of all cases since a time, the oldest first."""
    wanted = (CASE_STEPS.c.kind == kind) & (CASE_STEPS.c.at >= since)
    return [_read(row) for row in connection.execute(select(CASE_STEPS).where(wanted).order_by(CASE_STEPS.c.id))]


def _read(row: Row[Any]) -> CaseStep:
    box = None if row.box is None else bytes(row.box)
    return CaseStep(row.id, row.step_id, row.case_id, row.at, row.by, row.kind, json.loads(row.detail), box)


def open_texts(
    desk: Desk, case: CaseRow, steps: Sequence[CaseStep], *, actor: str, reason: Reason = "read"
) -> dict[str, StepText]:
    """Return the texts of the newest steps, by step id; a reading is recorded. Those that do not open are left out.

    A key is destroyed at the end of its time, and a box that is not the one of its step does not open.
    """
    sealed = [step for step in steps if step.box is not None][:MOST_OPENED_STEPS]
    if not sealed:
        return {}
    vault, texts = desk.load_vault(actor=actor, reason=reason), dict[str, StepText]()
    with desk.store.read() as connection:
        boxes = [
            get_box(connection, step.case_id, step.box or b"", kind="step", row_id=step.step_id) for step in sealed
        ]
    for step, box in zip(sealed, boxes, strict=True):
        context = make_copy_context(desk, purpose="mailbox", message_id=step.step_id, kind=_BOX_KIND)
        try:
            if step.detail.get("box_sha256") == hashlib.sha256(box.closed).hexdigest():
                plain = vault.open_message_copy(box, context=context)
                texts[step.step_id] = parse_exact(plain, kind=StepText, max_bytes=_MOST_TEXT_BYTES)
        except (OpeningError, FormatError):
            continue
    if reason == "read":
        with desk.store.write() as connection:
            audit.append_entry(connection, READ_STEPS, case.case_id, at=desk.clock(), actor=actor)
    return texts


def get_clean_reason(reason: str) -> str:
    """Return a person's reason for a change. Raises `CaseError` if it is missing, too long or unprintable."""
    reason = reason.strip()
    if not reason:
        raise CaseError("Give a reason for the change.", reason="reason-missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason can have up to {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    if not reason.isprintable():
        raise CaseError("The reason contains characters that a page cannot show. Remove them.", reason="unprintable")
    return reason


def get_clean_note(note: str, *, most: int = MAX_NOTE_CHARACTERS) -> str:
    """Return a text of several lines. Raises `CaseError` (`note-missing`, `note-too-long`, `note-unprintable`)."""
    note = normalise(note)
    if not note:
        raise CaseError("Write why, for the next person who reads this case.", reason="note-missing")
    if len(note) > most:
        raise CaseError(f"This text can have up to {most:,} characters.", reason="note-too-long")
    if has_control_characters(note):
        raise CaseError("The text contains characters that a page cannot show. Remove them.", reason="note-unprintable")
    return note
