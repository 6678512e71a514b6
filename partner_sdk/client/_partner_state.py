"""The partner's own folder: profile, keys, newest key set, sealed submissions, receipts, opened messages.

```
partner.json           partner, environment, origin, pin; written once at enrolment
enrolment.json         the sealed enrolment, so that a retry posts the same bytes
account.json           the registration that was sent last (account.py)
keys/*.key             three private keys, 0600
keys/pending/*         new keys and the sealed question, while a rotation is under way (_keys.py)
keys/former/*          former keys, and the changes that led away from them (_keys.py)
key-set.json           the newest key set seen, as received
pin.json               the pin in force, once the root has changed; partner.json keeps the first one
submissions/ID.json    bodies of POST /v1/reports, sealed: a retry sends the same bytes; they cannot be opened here
submissions/.ID.json.lock  empty; there while a submission is sent
receipts/ID.json       receipts, as received
desk-receipts/ID.json  receipts of the desk, for reports that went there as a file
recent/NUMBER/ID       links to the last hour's submissions, named by keyed digests (_submissions.py)
references/ID          links to the receipts, named by their references (_receipts.py)
evidence/ID.json       the evidence of a report, and its secret until it is handed over (_evidence_upload.py)
evidence/ID.lock       empty; there while evidence is sent
answers/ID.json        the request of the agency that a response answers (threads.py)
entries/ID.json        notes of own entries in threads, sealed until they are sent (threads.py)
mailbox/NUMBER.json    opened messages, still signed
mailbox/position       the number up to which the chain of messages is unbroken
lock                   empty; held while the key set or the mailbox changes
```

The agency's key set is fetched at most every ten minutes, else the newest one saved is used. Never holds the partner
register: a partner does not learn which others exist.
"""

import hashlib
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.client.exchange import RetryPolicy, log_event, send_patiently
from partner_sdk.durable_files import (
    check_private_folder,
    find_bytes,
    held,
    locked,
    make_private_folder,
    sync_folder,
    write_durably,
)
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    ProblemError,
    ReportAbuseError,
    StatementError,
    TransportError,
)
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    check_report_id,
    encode,
    format_time,
    make_report_id,
    parse_exact,
)
from partner_sdk.wire.enrolment import EnrolmentPost, Invitation, make_partner_pin
from partner_sdk.wire.mailbox import FIRST_PREVIOUS
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    Environment,
    KeySet,
    Pin,
    follow_root,
    peek_delegated_at,
    verify_bundle,
)
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES, ReportPost

if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport  # loads the HTTP client

T = TypeVar("T")

PARTNER_ROLES = (KeyRole.SUBMISSION, KeyRole.CONTEXT, KeyRole.MAILBOX)
MAX_PROFILE_BYTES = 8192
MAX_ENROLMENT_POST_BYTES = 128 * 1024
MAX_MESSAGE_NUMBER = 99_999_999

_MARKER = "partner.json"  # written last: a folder that has it is ours
_RESTORE: Final = (
    "Restore it from your backup, or ask the agency to enrol you again. `report-abuse-partner doctor` tells more."
)
# Whose receipt it is, and the folder that keeps it.
Signer = Literal["gateway", "desk"]
_RECEIPTS: Final[dict[Signer, str]] = {"gateway": "receipts", "desk": "desk-receipts"}
_FOLDERS = ("keys", "submissions", "receipts", "mailbox")
_MESSAGE_NAME = re.compile(r"([0-9]{8})\.json")


def find_document(path: Path, *, kind: type[T], max_bytes: int) -> T | None:
    """Return a saved document in canonical JSON, or None; raises `LocalStateError` (`damaged-state`)."""
    raw = find_bytes(path)
    if raw is None:
        return None
    try:
        return parse_exact(raw, kind=kind, max_bytes=max_bytes)
    except FormatError:
        raise LocalStateError(f"{path} is damaged.", reason="damaged-state") from None


class PartnerProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of an enrolment, for good: the environment is one and is never a parameter afterwards."""

    enrolled_at: str
    environment: Environment
    name: str
    origin: str
    partner: str
    pin: Pin
    type: Literal["report-abuse/partner"] = "report-abuse/partner"


class MailboxPosition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last message of the unbroken chain: its number and the SHA-256 of its signed bytes."""

    number: int
    sha256: str


FIRST_POSITION = MailboxPosition(number=0, sha256=FIRST_PREVIOUS)


class PartnerState(msgspec.Struct, frozen=True):
    """An opened folder. Values are read from disk each time, so two processes see the same."""

    folder: Path
    profile: PartnerProfile

    @classmethod
    def open(cls, folder: Path) -> "PartnerState":
        """Open the folder of an enrolled partner, or raise `LocalStateError`."""
        check_private_folder(folder, marker=_MARKER)
        try:
            profile = find_document(folder / _MARKER, kind=PartnerProfile, max_bytes=MAX_PROFILE_BYTES)
        except LocalStateError as error:
            raise LocalStateError(f"{error} {_RESTORE}", reason=error.reason) from None
        if profile is None:  # taken away since it was looked for
            raise LocalStateError(f"{folder / _MARKER} is damaged. {_RESTORE}", reason="damaged-state")
        return cls(folder=folder, profile=profile)

    @classmethod
    def create(cls, folder: Path, *, invitation: Invitation, now: datetime) -> "PartnerState":
        """Make the folder and the three keys for an invitation.

        Again with the same invitation, after a crash or a lost reply, it continues with the existing keys; with
        another one it raises `LocalStateError` (`already-enrolled`). It refuses a folder of another user's
        (`not-our-folder`).
        """
        _check_usable(folder)
        make_private_folder(folder)
        profile = PartnerProfile(
            enrolled_at=format_time(now),
            environment=invitation.environment,
            name=invitation.name,
            origin=invitation.origin,
            partner=invitation.partner,
            pin=make_partner_pin(invitation),
        )
        with locked(folder):
            if cls.is_in(folder):
                state = cls.open(folder)
                if msgspec.structs.replace(profile, enrolled_at=state.profile.enrolled_at) != state.profile:
                    raise make_already_enrolled()
                return state
            for name in _FOLDERS:
                make_private_folder(folder / name)
            for role in PARTNER_ROLES:
                path = folder / "keys" / f"{role.value}.key"
                if not path.exists():
                    made = new_key(role, environment=invitation.environment, created_at=format_time(now))
                    write_key_file(path, made)
            sync_folder(folder / "keys")
            state = cls(folder=folder, profile=profile)
            for role in PARTNER_ROLES:  # also those that an interrupted run left behind
                state.read_key(role)
            write_durably(folder / _MARKER, encode(profile))
        return state

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether `folder` is a partner's folder."""
        return find_bytes(folder / _MARKER) is not None

    def remove_refused(self) -> None:
        """Remove the enrolment's files when the gateway refused the first post of these keys for good."""
        for name in ("enrolment.json", "key-set.json", _MARKER):  # the marker after the box: see `_check_usable`
            (self.folder / name).unlink(missing_ok=True)
        for role in PARTNER_ROLES:
            (self.folder / "keys" / f"{role.value}.key").unlink(missing_ok=True)
        for name in _FOLDERS:
            with suppress(OSError):  # a folder that is not empty is not of this enrolment
                (self.folder / name).rmdir()
        (self.folder / "lock").unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def read_key(self, role: KeyRole) -> KeyFile:
        """Return one of the three keys, or raise `LocalStateError`."""
        key_file = read_key_file(self.folder / "keys" / f"{role.value}.key", role=role)
        if key_file.environment != self.profile.environment:
            raise LocalStateError(f"The {role.value} key is for another environment.", reason="wrong-key-role")
        return key_file

    def load_submission_key(self) -> Ed25519PrivateKey:
        """Return the key that signs requests and submission statements."""
        return load_signing_key(self.read_key(KeyRole.SUBMISSION))

    # Key set

    def read_key_set(self, *, now: datetime, allow_expired: bool = False) -> KeySet:
        """Return the newest key set seen, checked again against the pin; raises `KeySetError`, `LocalStateError`."""
        raw = find_bytes(self.folder / "key-set.json")
        if raw is None:
            raise LocalStateError("No key set has been fetched yet.", reason="no-key-set")
        return verify_bundle(raw, pin=self.read_pin(), now=now, allow_expired=allow_expired)

    def accept_key_set(self, raw: bytes, *, now: datetime) -> KeySet:
        """Check a fetched key set against the pin and the newest one seen, save it, return it; raises `KeySetError`."""
        with locked(self.folder):
            kept = find_bytes(self.folder / "key-set.json")
            highest, digest, delegated_at = None, None, None
            if kept is not None:
                highest = verify_bundle(kept, pin=self.read_pin(), now=now, allow_expired=True).serial
                digest, delegated_at = hashlib.sha256(kept).digest(), peek_delegated_at(kept)
            key_set = verify_bundle(
                raw,
                pin=self.read_pin(),
                now=now,
                highest_serial=highest,
                highest_sha256=digest,
                newest_delegated_at=delegated_at,
            )
            if raw != kept:
                write_durably(self.folder / "key-set.json", raw)
            # After the key set: a run that stops between the two follows again from the former pin.
            followed = follow_root(raw, pin=self.read_pin())
            if followed != self.read_pin():
                write_durably(self.folder / "pin.json", encode(followed))
        return key_set

    def read_pin(self) -> Pin:
        """Return the root that is pinned: that of the invitation, or the one that it led to since."""
        return find_document(self.folder / "pin.json", kind=Pin, max_bytes=MAX_PROFILE_BYTES) or self.profile.pin

    # Enrolment

    def find_enrolment(self) -> EnrolmentPost | None:
        """Return the sealed enrolment that was made before, or None."""
        return find_document(self.folder / "enrolment.json", kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_POST_BYTES)

    def save_enrolment(self, post: EnrolmentPost) -> None:
        """Keep the sealed enrolment before it is posted."""
        write_durably(self.folder / "enrolment.json", encode(post))

    # Submissions and receipts

    def save_submission(self, report_id: str, body: bytes) -> None:
        """Keep a sealed submission before it is sent; never over another one."""
        path = self._path("submissions", report_id)
        if path.exists():
            raise LocalStateError("There is already a submission with this id.", reason="id-taken")
        write_durably(path, body)

    def replace_submission(self, report_id: str, body: bytes) -> None:
        """Keep the same submission under a newer signature; the caller holds it (`holding_submission`)."""
        write_durably(self._path("submissions", report_id), body)

    def find_submission(self, report_id: str) -> tuple[bytes, ReportPost] | None:
        """Return the saved body and its statement, or None."""
        path = self._path("submissions", report_id)
        post = find_document(path, kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
        return None if post is None else (encode(post), post)  # a document has one spelling

    def get_submission(self, report_id: str) -> tuple[bytes, ReportPost]:
        """Return the saved body and its statement; raises `StatementError` (`no-such-submission`)."""
        saved = self.find_submission(report_id)
        if saved is None:
            raise StatementError("There is no submission with this id here.", reason="no-such-submission")
        return saved

    @contextmanager
    def holding_submission(self, report_id: str) -> Iterator[None]:
        """Hold a saved submission against other processes (and threads), so that one at a time sends or discards it.

        Waits for its holder; then look again whether it is still there and still without a receipt.
        """
        with held(self._path("submissions", report_id)):
            yield

    def discard_submission(self, report_id: str) -> None:
        """Delete a submission that has no receipt; raises `LocalStateError` (`no-such-submission`, `has-receipt`)."""
        with self.holding_submission(report_id):
            if self.is_delivered(report_id):
                raise LocalStateError("This report was delivered; its submission proves it.", reason="has-receipt")
            try:
                self._path("submissions", report_id).unlink()
            except FileNotFoundError:
                raise LocalStateError("There is no submission with this id.", reason="no-such-submission") from None
        sync_folder(self.folder / "submissions")

    def save_receipt(self, report_id: str, raw: bytes, *, by: Signer = "gateway") -> None:
        """Keep a receipt, verified before; never over a different one. The desk's is of a report that went by file."""
        path = self.get_receipt_path(report_id, by=by)
        make_private_folder(path.parent)
        kept = find_bytes(path)
        if kept is not None and kept != raw:
            raise LocalStateError("There is already another receipt for this report.", reason="id-taken")
        if kept is None:
            write_durably(path, raw)

    def find_receipt(self, report_id: str, *, by: Signer = "gateway") -> bytes | None:
        """Return the receipt of a report as received, or None."""
        return find_bytes(self.get_receipt_path(report_id, by=by))

    def get_receipt_path(self, report_id: str, *, by: Signer) -> Path:
        """Return the path of a report's receipt, which need not exist."""
        return self._path(_RECEIPTS[by], report_id)

    def is_delivered(self, report_id: str) -> bool:
        """Return whether a report has a receipt, of the gateway or the desk."""
        return any(self._path(kind, report_id).exists() for kind in _RECEIPTS.values())

    def list_receipts(self, *, by: Signer = "gateway") -> list[str]:
        """Return the report ids that have a receipt, oldest first (UUIDv7 sorts by time)."""
        return self._list(_RECEIPTS[by])

    def list_delivered(self) -> set[str]:
        """Return the report ids that have a receipt, of the gateway or the desk."""
        return {*self.list_receipts(), *self.list_receipts(by="desk")}

    def list_undelivered(self) -> list[str]:
        """Return the report ids that were sealed and have no receipt, of the gateway or the desk, oldest first."""
        return sorted(set(self._list("submissions")) - self.list_delivered())

    # Mailbox

    def read_position(self) -> MailboxPosition:
        """Return the number up to which the chain of messages is unbroken."""
        path = self.folder / "mailbox" / "position"
        return find_document(path, kind=MailboxPosition, max_bytes=MAX_PROFILE_BYTES) or FIRST_POSITION

    def save_position(self, position: MailboxPosition) -> None:
        """Move the position on."""
        write_durably(self.folder / "mailbox" / "position", encode(position))

    def save_message(self, number: int, signed: bytes) -> None:
        """Keep an opened message durably under its number; never over a different one."""
        kept = self.find_message(number)
        if kept is not None and kept != signed:
            raise LocalStateError("There is already another message with this number.", reason="id-taken")
        if kept is None:
            write_durably(self._message_path(number), signed)

    def find_message(self, number: int) -> bytes | None:
        """Return the signed bytes of a message, or None."""
        return find_bytes(self._message_path(number))

    def list_messages(self) -> list[int]:
        """Return the numbers of the messages that are kept, in order."""
        names = (_MESSAGE_NAME.fullmatch(path.name) for path in (self.folder / "mailbox").iterdir())
        return sorted(int(name[1]) for name in names if name)

    def _message_path(self, number: int) -> Path:
        if not 1 <= number <= MAX_MESSAGE_NUMBER:
            raise FormatError("A message number is out of range.", reason="malformed")
        return self.folder / "mailbox" / f"{number:08d}.json"

    def _list(self, kind: str) -> list[str]:
        return sorted(path.stem for path in (self.folder / kind).glob("[0-9a-f]*.json"))

    def _path(self, kind: str, report_id: str) -> Path:
        check_report_id(report_id)  # a file name is never built from anything else
        return self.folder / kind / f"{report_id}.json"


def make_already_enrolled() -> LocalStateError:
    """Return the error for an invitation that comes to a folder of another one: keys are never used twice."""
    return LocalStateError(
        "This folder belongs to an earlier enrolment: give a new folder with --state.", reason="already-enrolled"
    )


def _check_usable(folder: Path) -> None:
    """Raise `LocalStateError` unless `folder` is ours, left by an interrupted run, private and empty, or not there."""
    try:
        names = {path.name for path in folder.iterdir()}
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocalStateError(f"Cannot use {folder}: {error.strerror}.", reason="no-state") from None
    if _MARKER in names:
        return
    left = {name for name in names if name in {*_FOLDERS, "lock"} or name.startswith(f".{_MARKER}.")}
    if names != left:
        raise LocalStateError(
            f"{folder} is in use for something else: give a new folder with --state.", reason="not-our-folder"
        )
    if stat.S_IMODE(mode) & 0o077:
        raise LocalStateError(
            f"Other users can open {folder}: give a new folder with --state, and enrol creates it.",
            reason="open-to-others",
        )


KEY_SET_KEPT_FOR: Final = timedelta(minutes=10)


class GatewaySession:
    """One partner's folder and its way to the gateway, with the clock, the patience and the chance of both.

    `notify` gets a line about each wait, and when a saved key set has to do.
    """

    def __init__(
        self,
        state: PartnerState,
        transport: "Transport",
        *,
        clock: Callable[[], datetime],
        policy: RetryPolicy,
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        notify: Callable[[str], None],
    ) -> None:
        self.state = state
        self.transport = transport
        self.clock = clock
        self.policy = policy
        self.sleep = sleep
        self.jitter = jitter
        self.random_bytes = random_bytes
        self.notify = notify
        self._fetched_at: datetime | None = None

    def make_id(self) -> str:
        """Return a new id, of a report, a piece of evidence or an entry."""
        return make_report_id(self.clock(), self.random_bytes(REPORT_ID_RANDOM_BYTES))

    def send_patiently(self, send: Callable[[], T], *, is_patient: bool = True) -> T:
        """Return the result of `send`, trying again within the policy; without patience it is tried once."""
        return send_patiently(
            send,
            policy=self.policy if is_patient else msgspec.structs.replace(self.policy, tries=1),
            sleep=self.sleep,
            jitter=self.jitter,
            on_wait=lambda seconds, error: self.notify(f"{error} Trying again in {seconds:.1f} seconds."),
        )

    def refresh_key_set(self) -> KeySet:
        """Fetch the key set, check it against the pinned root and the newest one seen, save and return it."""
        reply = self.transport.send("GET", "/v1/keys", is_signed=False, max_bytes=MAX_LIST_BYTES)
        now = self.clock()
        key_set = self.state.accept_key_set(reply.body, now=now)
        self._fetched_at = now
        log_event("key-set-fetched", serial=key_set.serial)
        return key_set

    def get_key_set(self) -> KeySet:
        """Return a key set in force: fetched lately, fetched now, or, with a word about it, the newest one saved."""
        now = self.clock()
        if self._fetched_at is not None and abs(now - self._fetched_at) < KEY_SET_KEPT_FOR:
            return self.state.read_key_set(now=now)
        try:
            return self.refresh_key_set()
        except (TransportError, ProblemError, KeySetError, FormatError) as error:
            try:
                kept = self.state.read_key_set(now=now)
            except ReportAbuseError:
                raise error from None
            log_event("key-set-kept", serial=kept.serial, reason=error.reason)
            self.notify(f"The key set could not be renewed; the saved one (serial {kept.serial}) is used. {error}")
            return kept
