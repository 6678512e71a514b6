"""The audit log: what happened, each entry chained to the one before by its hash; append-only; and its words.

Never contains typed text: actions, ids and codes only. The words of each action end a sentence after a person's name:
"Amina Okafor took the case". The audit log shows that without its parts in brackets, the history of a case the whole. A
part in brackets needs its codes: one that is missing or empty leaves the part out.

An alarm is a fault that a person must look into: raised once, kept on record after it is cleared, and of a kind and a
name of ours alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.desk.store.schema import ALARMS, AUDIT
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, to_base64url

FIRST_PREVIOUS: Final = bytes(32)
PAGE: Final = 2_000
_LABEL: Final = "report-abuse desk audit v1"
_LAST: Final = select(AUDIT.c.id, AUDIT.c.entry_sha256).order_by(AUDIT.c.id.desc()).limit(1)

Detail = str | int | bool | None


class AuditChainError(ReportAbuseError):
    """An entry of the audit log was altered, removed or inserted."""


def append_entry(
    connection: Connection, action: str, subject: str, *, at: datetime, actor: str, **detail: Detail
) -> bytes:
    """Add one entry in the caller's transaction, so that the action and its record succeed or fail together."""
    # Counted here, in the writer's turn: a sequence of PostgreSQL would leave a gap at every rollback.
    last = connection.execute(_LAST).first()
    number, previous = (1, FIRST_PREVIOUS) if last is None else (last.id + 1, bytes(last.entry_sha256))
    moment, text = format_time(at), encode(detail).decode()
    digest = _digest(moment, actor, action, subject, text, previous)
    connection.execute(
        insert(AUDIT),
        {
            "id": number,
            "at": moment,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": text,
            "previous_sha256": previous,
            "entry_sha256": digest,
        },
    )
    return digest


def list_subjects(connection: Connection, action: str) -> list[str]:
    """Return the subjects of every entry of an action, the oldest first."""
    query = select(AUDIT.c.subject).where(AUDIT.c.action == action).order_by(AUDIT.c.id)
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry, as a list shows it."""

    at: str
    actor: str
    action: str
    detail: Mapping[str, Any]


def list_events(
    connection: Connection, *, subjects: Collection[str], actions: Collection[str], most: int
) -> list[AuditEvent]:
    """Return the newest entries of some actions on some subjects, e.g. who opened a case; the oldest of them first."""
    wanted = AUDIT.c.subject.in_(subjects) & AUDIT.c.action.in_(actions)
    query = select(AUDIT.c.at, AUDIT.c.actor, AUDIT.c.action, AUDIT.c.detail).where(wanted)
    rows = connection.execute(query.order_by(AUDIT.c.id.desc()).limit(most)).all()
    return [AuditEvent(row.at, row.actor, row.action, json.loads(row.detail)) for row in reversed(rows)]


def check_chain(connection: Connection) -> int:
    """Return the number of entries, or raise `AuditChainError` naming the first one that breaks the chain."""
    return walk_chain(connection)[0]


def walk_chain(connection: Connection, *, seek: Collection[int] = ()) -> tuple[int, dict[int, bytes]]:
    """Return the number of entries, and the hashes of the entries with the numbers `seek`.

    Raises `AuditChainError` as `check_chain` does. Takes a page at a time: its memory does not grow with the log.
    """
    previous, count, wanted, found = FIRST_PREVIOUS, 0, frozenset(seek), {}
    for row in _entries(connection):
        count += 1
        expected = _digest(row.at, row.actor, row.action, row.subject, row.detail, previous)
        if row.id != count or bytes(row.previous_sha256) != previous or bytes(row.entry_sha256) != expected:
            raise AuditChainError(
                (
                    f"The hash chain of the audit log breaks at entry {row.id}. Keep a copy of the database "
                    "and compare it with the last backup."
                ),
                reason="broken-audit-chain",
            )
        previous = expected
        if count in wanted:
            found[count] = expected
    return count, found


def find_head(connection: Connection) -> tuple[int, bytes] | None:
    """Return number and hash of the newest entry, or None for an empty log."""
    last = connection.execute(_LAST).first()
    return None if last is None else (last.id, bytes(last.entry_sha256))


def _entries(connection: Connection) -> Iterator[Row[Any]]:
    # By pages: a server's driver would fetch the whole log at once.
    last = -1
    while rows := connection.execute(select(AUDIT).where(AUDIT.c.id > last).order_by(AUDIT.c.id).limit(PAGE)).all():
        yield from rows
        last = rows[-1].id


def _digest(at: str, actor: str, action: str, subject: str, detail: str, previous: bytes) -> bytes:
    entry = [_LABEL, at, actor, action, subject, detail, to_base64url(previous)]
    return hashlib.sha256(encode(entry)).digest()


_JUDGED: Final = (
    "[: immediate risk {immediate_risk}, urgent {urgent}, "
    "police or child protection urgently {urgent_dissemination}, priority {priority}]"
)
# The events that stand in the history of a case.
ON_CASE: Final = {
    "acknowledge-action": "recorded that an action was taken there",
    "advise-case": "gave a safeguarding adviser's view" + _JUDGED,
    "answer-action": "recorded an answer to an action",
    "answer-request-case": "answered a request of the person reporting[ {request}: {decision}]",
    "ask-service-case": "wrote why the service is asked[: {recipient}]",
    "assess-case": "assessed the case" + _JUDGED,
    "came-through-gateway-too": "received the report through the gateway too[, as {as}]",
    "carry-holder": "kept the case with its holder when another report joined it[: {holder}]",
    "child-outcome-case": "recorded the outcome for the child[ {holds}][: {outcome}]",
    "choose-body-case": "chose a body for a package",
    "claim-case": "took the case",
    "close-case": "closed the case[: {outcome}]",
    "decide-outcome": "decided the outcome for the partner[: {outcome}]",
    "draft-action": "drafted an action",
    "end-action": "ended an action",
    "exempt-case": "let the case close although nobody outside took it",
    "fail-action": "could not send an action",
    "hand-over-case": "handed the case over[ to {person}][ to {faculty}][ to {team}]",
    "keep-apart-case": "kept the case apart from another[: {other}]",
    "manual-entry-case": "entered the report by hand[: {channel}]",
    "legal-hold-case": "placed a legal hold",
    "lift-hold-case": "lifted the legal hold",
    "link-case": "linked the case with another[: {other}]",
    "mend-report": "fetched the damaged report again",
    "move-case": "moved the case in the queue[, from the {lane_before} ({score_before}) to the {lane} ({score})]",
    "no-read-note": "could not leave a note that the report was read",
    "open-case": "opened the report",
    "open-evidence": "opened a file of evidence[: {evidence_id}]",
    "pass-on-case": "passed the case on[ to {destination} {means}; they took it]",
    "release-action": "released an action",
    "release-alert-alone": "released a warning to services alone, in a crisis",
    "release-case": "gave the case back[ for {before}, who may not work on it outside the crisis lane]",
    "release-outcome": "told the partner the outcome[: {outcome}]",
    "reopen-case": "reopened the case[, closed before as: {was}][; {taken_back}]",
    "reply-case": "recorded the reply[: {code}]",
    "request-case": "recorded a request of the person reporting[ {request}: {way}]",
    "send-action": "sent an action",
    "name-account-case": "named an account of the case, from the words of a report",
    "set-service-case": "set the service of the case[: {service}]",
    "sign-release": "signed a release as the second person[: {kind}]",
    "take-back-outcome": "took the outcome for the partner back[: {outcome}]",
    "take-over-case": "took the case over[ from {before}]",
    "take-thread-entry": "wrote to this desk about an action",
    "unlink-case": "ended the link of the case with another[: {other}]",
    "withdraw-action": "withdrew an action",
    "write-thread-entry": "wrote to the recipient of an action",
    "write-to-return-code": "wrote to the return code[: {kind}]",
}
# The same on a case, whose history names the kind of an action and its recipient, e.g. "released the package to Kent".
ON_ACTION: Final = {
    "acknowledge-action": "recorded that {recipient} took the {kind}",
    "answer-action": "recorded an answer of {recipient} about the {kind}",
    "choose-body-case": "drafted {a_kind} to {destination}",
    "draft-action": "drafted {a_kind} to {recipient}",
    "end-action": "ended the {kind} to {recipient}",
    "fail-action": "could not send the {kind} to {recipient}: {failure}",
    "release-action": "released the {kind} to {recipient}",
    "send-action": "sent the {kind} to {recipient}",
    "withdraw-action": "withdrew the {kind} to {recipient}",
}
# The entries of its thread, by their kind: those of the recipient, and those of this desk.
FROM_RECIPIENT: Final = {
    "acknowledge": "took the {kind}",
    "answer": "sent an answer about the {kind}",
    "decline": "declined the {kind}",
    "note": "sent a note about the {kind}",
    "outcome": "told an outcome of the {kind}",
    "question": "asked a question about the {kind}",
}
TO_RECIPIENT: Final = {
    "answer": "answered {recipient} about the {kind}",
    "close": "told {recipient} that the {kind} is closed",
    "note": "sent {recipient} a note about the {kind}",
    "question": "asked {recipient} a question about the {kind}",
    "recall": "recalled the {kind} to {recipient}",
    "reminder": "reminded {recipient} of the {kind}",
}
# The events of the audit log alone.
OF_DESK: Final = {
    "accept-account-change": "accepted a change that a partner asked for",
    "accept-audit-loss": "accepted that entries of the audit log are lost",
    "acknowledge-alert": "acknowledged an alert",
    "acknowledge-passkey": "said that a new passkey is their own",
    "add-adopter": "added a service that shows the button",
    "add-gateway": "added a gateway",
    "add-passkey": "added a passkey",
    "add-person": "added a person",
    "add-service": "added a service that reports are about",
    "agree-placement": "agreed to a placement of the button",
    "approve-partner": "approved a partner",
    "begin-rotation-feed": "made a new feed key",
    "begin-rotation-mailbox-signing": "made a new key that signs messages",
    "begin-rotation-register": "made a new key that signs the register",
    "certify-destruction": "certified a destruction",
    "change-placement": "changed the terms of a placement",
    "change-root": "changed the root key",
    "clear-alarm": "cleared an alarm",
    "collect": "collected reports",
    "collect-evidence": "collected a file of evidence",
    "decline-adoption": "declined a request for the button",
    "destroy-case": "began to destroy the content of a case",
    "destroy-sealing-key": "destroyed a sealing key",
    "digest-draw-restored": "took the noise of a digest from the journal",
    "digest-frozen": "fixed the cases that a digest counts",
    "digest-made": "made a digest",
    "digest-rejected": "rejected a digest",
    "digest-released": "released a digest",
    "draft-release": "asked a second person to sign a release",
    "drop-alert": "gave up an alert",
    "drop-evidence": "gave up a file of evidence",
    "drop-thread-entry": "dropped an entry about a destroyed case",
    "end-invitation": "ended an invitation",
    "end-log-key": "ended a key of a public log",
    "end-passkey": "ended a passkey",
    "end-person": "ended a person",
    "end-placement": "ended a placement",
    "end-receipt-key": "ended a receipt key",
    "end-role": "took a role from a person",
    "export-audit": "exported entries of the audit log",
    "export-case": "exported a report for the person who sent it",
    "finish-rotation-feed": "began to use the new feed key",
    "finish-rotation-mailbox-signing": "began to use the new key that signs messages",
    "finish-rotation-register": "began to use the new key that signs the register",
    "forget-runner-token": "ended the checker's token",
    "gather-case": "opened a case for a package",
    "give-signoff": "signed off words that this desk sends",
    "grant-role": "gave a person a role",
    "import": "imported a report from a file",
    "index-case": "opened a report",
    "invite-adoption": "invited a service that asked for the button",
    "invite-partner": "invited a partner",
    "keep-thread-entry": "kept a note about an action",
    "lock-vault": "locked the vault",
    "make-desk": "made this desk",
    "make-key": "made a key",
    "make-link": "made a one-time link for a person",
    "make-runner-token": "made the checker's token",
    "make-synthetic-cases": "filed made-up cases",
    "merge-services": "merged two services",
    "no-place": "could not send a reply: its return code is gone",
    "note-openings": "noted the head of the vault's record",
    "open-adoption": "opened a request for the button",
    "open-quarantined": "opened a report in quarantine",
    "overview-made-public": "made an overview public",
    "overview-proposed": "asked a second person to sign an overview",
    "part-service": "split a merged service",
    "protect-keys": "protected the keys with passphrases",
    "publish-keys": "published the key set",
    "publish-register": "published the register",
    "read-action": "read the content of an action",
    "read-case-steps": "read the reasons and notes of a case",
    "read-replies": "read the replies of a case",
    "read-thread": "read the thread of an action",
    "refuse-account-change": "refused a change that a partner asked for",
    "refuse-step-up": "refused a step-up",
    "renew-delegation": "renewed the delegation of the root key",
    "repeat-destruction": "destroyed cases again after a restore",
    "replace-sealing-key": "replaced a sealing key",
    "resolve-quarantined": "settled reports in quarantine",
    "resume-placement": "resumed a placement",
    "revoke-key": "revoked a key",
    "save-package": "made the file of a package",
    "search": "searched cases",
    "send-again": "sent an entry of the outbox again",
    "send-alert": "sent an alert",
    "send-note": "sent a short note",
    "set-account": "set a person's account",
    "set-mail": "set a person's mail address",
    "quarantine": "put a report into quarantine",
    "set-authority": "recorded a person's authority",
    "sign-in": "signed in",
    "sign-keys": "signed the key set",
    "sign-register": "signed the register",
    "suspend-partner": "suspended a partner",
    "suspend-placement": "suspended a placement",
    "take-account-change": "took a change from a partner",
    "take-adoption": "took a request for the button",
    "take-back-feed-key": "went back to the former feed key",
    "take-enrolment": "took an enrolment",
    "take-placement-checks": "took checks of placements",
    "unlock-refused": "was refused by the vault: wrong passphrase",
    "unlock-vault": "unlocked the vault",
    "stop-destruction": "stopped a destruction",
    "withdraw-destruction": "withdrew a list of cases to destroy",
    "withdraw-signoff": "withdrew a sign-off",
    "write-message": "wrote a message to a partner",
}
# The events that showed content to a person or a program of the desk, each with its purpose.
OPENINGS: Final = {
    "gather-case": "to put it into a package",
    "index-case": "to find its links; nobody read it",
    "open-adoption": "to decide it",
    "open-case": "to read it",
    "open-evidence": "to look at it or save it",
    "open-quarantined": "to settle it",
    "read-action": "to work on the case",
    "read-case-steps": "to work on the case",
    "read-replies": "to work on the case",
    "read-thread": "to work on the case",
}
EVENTS: Final[Mapping[str, str]] = ON_CASE | OF_DESK
_PART: Final = re.compile(r"\[([^]]*)\]")
_CODE: Final = re.compile(r"{(\w+)}")


def get_label(action: str) -> str:
    """Return an event on its own, e.g. "Took the case"; one of a later release by its code, e.g. "Archive case"."""
    if action not in EVENTS:
        return action.replace("-", " ").capitalize()
    sentence = _PART.sub("", EVENTS[action])
    return sentence[0].upper() + sentence[1:]


def format_event(action: str, format_code: Callable[[str], str]) -> str:
    """Return the sentence of an event, e.g. "closed the case: Used"; `format_code` gives each of its codes in words."""
    whole = ON_ACTION.get(action, "")
    of_action = {name: format_code(name) for name in _CODE.findall(whole)}
    if whole and all(of_action.values()):
        return whole.format_map(of_action)

    def fill(part: re.Match[str]) -> str:
        words = {name: format_code(name) for name in _CODE.findall(part[1])}
        return part[1].format(**words) if all(words.values()) else ""

    return _PART.sub(fill, EVENTS[action])


class AlarmError(ReportAbuseError):
    """No open alarm has this number."""


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One open alarm."""

    id: int
    kind: str
    raised_at: str
    subject: str


def raise_alarm(connection: Connection, kind: str, subject: str, *, now: datetime) -> bool:
    """Enter an alarm for a person to look at; False if the same one was raised before."""
    known = connection.execute(select(ALARMS.c.id).where(ALARMS.c.kind == kind, ALARMS.c.subject == subject)).first()
    if known is not None:
        return False
    connection.execute(insert(ALARMS).values(kind=kind, subject=subject, raised_at=format_time(now)))
    return True


def clear_alarm(connection: Connection, alarm_id: int, *, actor: str, now: datetime) -> None:
    """Record the person who has dealt with an alarm; it stays on record. Raises `AlarmError` (`unknown-alarm`)."""
    changed = connection.execute(
        update(ALARMS)
        .where(ALARMS.c.id == alarm_id, ALARMS.c.cleared_at.is_(None))
        .values(cleared_at=format_time(now), cleared_by=actor)
    )
    if changed.rowcount == 0:
        raise AlarmError("No open alarm has this number. `alarms` lists the open ones.", reason="unknown-alarm")
    append_entry(connection, "clear-alarm", str(alarm_id), at=now, actor=actor)


def list_alarms(connection: Connection) -> list[AlarmRow]:
    """Return the open alarms, the oldest first."""
    columns = [ALARMS.c[name] for name in AlarmRow.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(ALARMS.c.cleared_at.is_(None)).order_by(ALARMS.c.id))
    return [AlarmRow(**row._mapping) for row in rows]


def count_alarms(connection: Connection) -> int:
    """Return how many alarms are open."""
    query = select(func.count()).select_from(ALARMS).where(ALARMS.c.cleared_at.is_(None))
    return int(connection.execute(query).scalar_one())


def list_alarm_subjects(connection: Connection, kind: str) -> list[str]:
    """Return the subjects of the open alarms of a kind, the oldest first."""
    query = select(ALARMS.c.subject).where(ALARMS.c.kind == kind, ALARMS.c.cleared_at.is_(None)).order_by(ALARMS.c.id)
    return list(connection.execute(query).scalars())
