"""The vault's record of passkeys and destructions: the lists that were begun, stopped and finished.

A list is begun if its author and a second person have signed its exact bytes with passkeys that the vault has known for
a week, by its own clock. Its keys are closed then, and overwritten a week later, unless a person stops that. The record
comes before each act. Every line is sealed under `keys/case.key`, so a process that cannot read that key writes none.

Never believes another process about a list: only which passkeys exist, and that a week late (docs/decisions/0072).
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from gateway.desk.vault import BeginDestruction, CaseKey, ChangeDestruction, KnownPasskey, SignedStepUp, VaultError
from gateway.desk.vault.assertions import Answer, StepUpError, parse_statement, verify_answer
from gateway.desk.vault.case_keys import CaseKeys, KeyState
from gateway.desk.vault.record import Record, RecordError
from gateway.exchange.desk_statements import DestructionList, ForgetList
from partner_sdk.errors import FormatError
from partner_sdk.key_files import SEED_BYTES, KeyFile
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_exact, parse_time, to_base64url
from partner_sdk.wire.signing import MAX_LIST_BYTES

DESTRUCTIONS_FILE: Final = "destructions.jsonl"
# The subjects of the two step_ups, each before the list's id: its author's, and the second person's.
AUTHOR: Final = "destruction-draft"
SECOND: Final = "destruction"
# A list that was signed by mistake, by deceit or by a taken process is stopped within this time.
STOP_WITHIN: Final = timedelta(days=7)
# A forged passkey shows as long in the audit log and in `doctor` before it signs a destruction.
KNOWN_FOR: Final = timedelta(days=7)
_MAX_LINE_BYTES: Final = MAX_LIST_BYTES + 16 * 1024
_SEAL_LABEL: Final = b"report-abuse desk record of destructions v1\0"

State = Literal["begun", "stopped", "destroyed"]
_KEYS_ARE: Final = MappingProxyType[State, KeyState]({"begun": "closed", "stopped": "open", "destroyed": "destroyed"})


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line. `subject` is the id of a passkey or a list; `people` are its owner, its signers or the caller."""

    at: str
    kind: Literal["passkey", "ended-passkey"] | State
    listed: DestructionList | None = None
    people: tuple[str, ...]
    previous: str
    public_key: str = ""
    seal: str = ""
    subject: str


@dataclass(slots=True)
class Destruction:
    """One list, with its two signers; `ended_by` stopped or finished it, at `ended_at`."""

    listed: DestructionList
    people: tuple[str, ...]
    begun_at: datetime
    state: State = "begun"
    ended_at: str = ""
    ended_by: str = ""

    @property
    def ends_at(self) -> datetime:
        """The time from which its keys may be overwritten."""
        return self.begun_at + STOP_WITHIN


def list_keys(listed: DestructionList) -> list[CaseKey]:
    """Return the keys of all reports on a list."""
    reports = (report for case in listed.cases for report in case.reports)
    return [CaseKey(case_id=one.case_id, number=one.key_number) for one in reports if one.key_number is not None]


@dataclass(slots=True)
class Known:
    """The content of the record: passkeys in use, with the time of their lines, and every list."""

    passkeys: dict[str, tuple[KnownPasskey, datetime]] = field(default_factory=dict)
    lists: dict[str, Destruction] = field(default_factory=dict)

    def list_held(self, *, besides: str) -> set[CaseKey]:
        """Return the keys of every other list that was begun and not stopped."""
        others = (one for name, one in self.lists.items() if name != besides and one.state != "stopped")
        return {key for one in others for key in list_keys(one.listed)}

    def add(self, line: Line) -> None:
        """Take one more line. Raises `RecordError` for one that the vault never writes."""
        at = parse_time(line.at)
        if line.kind == "passkey":
            (person,) = line.people
            credential_id, public_key = parse_base64url(line.subject), parse_base64url(line.public_key)
            known = KnownPasskey(credential_id=credential_id, person=person, public_key=public_key)
            self.passkeys[line.subject] = known, at
        elif line.kind == "ended-passkey":
            self.passkeys.pop(line.subject, None)
        elif line.listed is not None:
            self.lists[line.subject] = Destruction(line.listed, line.people, at)
        elif line.subject in self.lists:
            found = self.lists[line.subject]
            found.state, found.ended_at, found.ended_by = line.kind, line.at, line.people[0]
        else:
            raise RecordError("The record of destructions has a line without its list.", reason="unreadable-line")


def read_destructions(folder: Path, *, under: KeyFile | None = None) -> Known:
    """Return the passkeys and lists on record in a vault's folder. Raises `RecordError`.

    `under` checks the seal of each line too.
    """
    known = Known()
    for line, _ in _open_record(folder).read():
        if under is not None and not hmac.compare_digest(line.seal, _seal(line, under)):
            raise RecordError("A line of the record of destructions is not the vault's own.", reason="broken-record")
        known.add(line)
    return known


@dataclass(frozen=True, slots=True)
class Destructions:
    """The record in a vault's folder, and the keys that it ends."""

    folder: Path
    case_keys: CaseKeys

    def learn_passkeys(self, passkeys: Iterable[KnownPasskey], *, under: KeyFile, now: datetime) -> None:
        """Record new passkeys, and the end of old ones. Raises as `begin`."""
        known = read_destructions(self.folder, under=under).passkeys
        given = {to_base64url(one.credential_id): one for one in passkeys}
        for subject, one in given.items():
            # A passkey that came back with another key or person waits anew.
            if subject not in known or known[subject][0] != one:
                public_key = to_base64url(one.public_key)
                self._add("passkey", subject, (one.person,), under=under, now=now, public_key=public_key)
        for subject, (one, _) in known.items():
            if subject not in given:
                self._add("ended-passkey", subject, (one.person,), under=under, now=now)

    def begin(self, request: BeginDestruction, *, environment: str, under: KeyFile, now: datetime) -> list[int]:
        """Close the keys of a list that two people signed, and return their numbers. Safe to repeat.

        Raises `VaultError`, `FormatError`, `RecordError`, and as `CaseKeys.change`.
        """
        known = read_destructions(self.folder, under=under)
        listed = parse_exact(request.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
        if listed.environment != environment:
            raise VaultError("The list is for another environment than this desk's.", reason="wrong-environment")
        people = tuple(
            _get_signer(known, step_up, f"{purpose} {listed.destruction_id}", request.listed, now=now)
            for purpose, step_up in zip((AUTHOR, SECOND), request.step_ups, strict=True)
        )
        if len(set(people)) != len(people):
            raise _refuse("one person signed it twice")
        found, keys = known.lists.get(listed.destruction_id), list_keys(listed)
        if found is None:
            if not known.list_held(besides=listed.destruction_id).isdisjoint(keys):
                raise VaultError("Another list that was begun has a case of this one.", reason="stopped")
            # The keys first, unchanged: a list with a wrong key ends before it is on record.
            self.case_keys.change(keys, to="closed", under=under, is_tried=True)
            self._add("begun", listed.destruction_id, people, under=under, now=now, listed=listed)
            return self.case_keys.change(keys, to="closed", under=under)
        if found.listed != listed or found.state == "stopped":
            raise VaultError("This list was stopped, or another one has its id. Draft a new one.", reason="stopped")
        closed = self.case_keys.change(keys, to=_KEYS_ARE[found.state], under=under, is_tried=True)
        if len(closed) != len(keys):
            # The record may have lost a stop: a list that was begun before closes no key that is in use.
            raise VaultError("A key of this list is in use. Stop the list, and draft a new one.", reason="stopped")
        return closed

    def change(self, request: ChangeDestruction, *, under: KeyFile, now: datetime) -> list[int]:
        """Stop a list or overwrite its keys, and return the numbers that are so now. Safe to repeat.

        Raises `VaultError`, and as `begin`.
        """
        known = read_destructions(self.folder, under=under)
        found = known.lists.get(request.destruction_id)
        if found is None:
            raise VaultError("The vault has no such list.", reason="unknown-list")
        # An old stop that comes again opens no key that a newer list has closed.
        held = known.list_held(besides=request.destruction_id)
        keys = [key for key in list_keys(found.listed) if key not in held]
        if found.state != request.to:
            if found.state != "begun":
                fault = f"This list was {found.state} before."
                raise VaultError(fault, reason="too-late" if request.to == "stopped" else "stopped")
            if request.to == "destroyed" and now < found.ends_at:
                raise VaultError("This list can still be stopped: its keys stay until then.", reason="too-early")
            # Refused before it is on record: the record may have lost a stop, and a repeat must not destroy then.
            self.case_keys.change(keys, to=_KEYS_ARE[request.to], under=under, is_tried=True)
            self._add(request.to, request.destruction_id, (request.actor,), under=under, now=now)
        elif request.to == "destroyed":
            # An older copy of the file of keys may have come back.
            self.case_keys.change(keys, to="closed", under=under)
        return self.case_keys.change(keys, to=_KEYS_ARE[request.to], under=under)

    def check_forgotten(self, listed: ForgetList, *, under: KeyFile) -> None:
        """Raise `VaultError` (`not-signed`) unless every report is on a list of two people that was not stopped."""
        known = read_destructions(self.folder, under=under)
        found = known.lists.get(listed.destruction_id)
        reports = set[tuple[str, str, str]]()
        if found is not None and found.state != "stopped":
            named = (report for case in found.listed.cases for report in case.reports)
            reports = {(one.partner, one.reference, one.report_id) for one in named}
        wanted = {(one.partner, one.reference, one.report_id) for one in listed.reports}
        if not wanted <= reports or not {one.partner for one in listed.evidence} <= {partner for partner, *_ in wanted}:
            raise _refuse("the gateway may only forget what is on a list that two people signed")

    def _add(
        self,
        kind: Literal["passkey", "ended-passkey"] | State,
        subject: str,
        people: tuple[str, ...],
        *,
        under: KeyFile,
        now: datetime,
        listed: DestructionList | None = None,
        public_key: str = "",
    ) -> None:
        def make(previous: str) -> Line:
            line = Line(
                at=format_time(now),
                kind=kind,
                listed=listed,
                people=people,
                previous=previous,
                public_key=public_key,
                subject=subject,
            )
            return replace(line, seal=_seal(line, under))

        _open_record(self.folder).add(make)


def _open_record(folder: Path) -> Record[Line]:
    return Record(folder / DESTRUCTIONS_FILE, Line, max_line_bytes=_MAX_LINE_BYTES)


def _seal(line: Line, under: KeyFile) -> str:
    key = parse_base64url(under.secret, length=SEED_BYTES)
    return to_base64url(hmac.digest(key, _SEAL_LABEL + encode(replace(line, seal="")), "sha256"))


def _get_signer(known: Known, step_up: SignedStepUp, subject: str, listed: bytes, *, now: datetime) -> str:
    """Return the signer of the list by this step-up. Raises `VaultError`."""
    passkey, since = known.passkeys.get(to_base64url(step_up.credential_id), (None, now))
    if passkey is None:
        raise _refuse("the vault does not know a passkey of it. It learns new ones with `publish`, each day")
    if now < since + KNOWN_FOR:
        day = format_time(since + KNOWN_FOR)
        raise _refuse(f"the vault has known a passkey of {passkey.person} for too short a time; it counts from {day}")
    answer = Answer(
        credential_id=step_up.credential_id,
        client_data=step_up.client_data,
        authenticator_data=step_up.authenticator_data,
        signature=step_up.signature,
        handle=b"",
    )
    try:
        statement = parse_statement(step_up.statement)
        verify_answer(answer, statement=step_up.statement, public_key=passkey.public_key)
    except (FormatError, StepUpError):
        raise _refuse("a signature is not genuine") from None
    signed = (statement.purpose, statement.person, statement.subject, statement.body_sha256)
    if signed != ("release", passkey.person, subject, hashlib.sha256(listed).hexdigest()):
        raise _refuse("a signature covers another list or purpose")
    return passkey.person


def _refuse(fault: str) -> VaultError:
    return VaultError(f"The vault destroys nothing for this list: {fault}.", reason="not-signed")
