"""The vault: the only code of the desk that holds private keys. It opens sealed boxes and signs the desk's statements.

The rest of the desk uses `doors` alone: `Vault` opens for one person and one reason, `Signer` signs, makes keys and
hashes. Both pass one of the messages below to a holder of the keys (`holder`), in the same process or behind a socket,
and get one answer. No request returns a private key.

Never writes or logs opened content.
"""

from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import RefusalError
from partner_sdk.wire.sealing import ENC_BYTES, HEADER_BYTES, SealContext
from partner_sdk.wire.signing import Environment, StatementKind

# The purposes of boxes that are sealed to the agency (WIRE.md §3.2).
Purpose = Literal["report", "context", "enrol", "reply", "mailbox", "thread"]
# The reason for an opening. Only `read` and `send` show content to a person; the others open, judge and forget it.
Reason = Literal["read", "send", "file", "link", "check"]
FeedKeyName = Literal["feed", "feed.next", "feed.former"]
HashKind = Literal["address", "domain", "note", "sample"]
# The rows of a case whose boxes lie under the key of the case.
BoxKind = Literal["report", "import", "step", "reply", "question", "action", "entry"]

# A handle has at most 40 characters; this bound keeps a line of the record short whatever a caller names.
MAX_ACTOR_CHARACTERS: Final = 200
MAX_TEXT_BYTES: Final = 4096
MOST_IDENTIFIERS: Final = 2_000  # of one request: it fits a frame of the pipe at any length of a link
# The part of a box that lies under the key of its case: enough that the rest cannot be opened (`case_keys`).
HEAD_BYTES: Final = HEADER_BYTES + ENC_BYTES
MOST_CASES: Final = 1_000  # of one request: as many as an hour of reports
# A file of 60 GB: far more cases than an agency has, and a number that any file system can seek to.
MOST_CASE_KEYS: Final = 1_000_000_000
# The reason of a `VaultError` while the passphrases are awaited.
LOCKED: Final = "locked"


class VaultError(
    RefusalError[
        Literal["busy", "key-in-vault", "locked", "no-passphrase", "not-signed", "not-signed-here"]
        | Literal["not-the-same", "other-user", "stopped", "too-early", "too-late", "unknown-list", "unknown-name"]
        | Literal["vault-failed", "vault-gone", "vault-runs", "vault-stopped", "weak-passphrase", "wrong-answer"]
        | Literal["wrong-custodians", "wrong-environment", "wrong-passphrase"]
    ]
):
    """The vault cannot answer now: locked, stopped, busy, or asked in a way that it does not know."""


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public part of a key file. `key_id` and `public_key` are empty for a key that only hashes."""

    created_at: str
    environment: Environment
    key_id: str
    public_key: str
    role: str


def to_public(key_file: msgspec.Struct) -> PublicKey:
    """Return a key file without its secret, whether a passphrase is over it or not."""
    return PublicKey(**{name: getattr(key_file, name) for name in PublicKey.__struct_fields__})


Head = Annotated[bytes, Meta(max_length=HEAD_BYTES)]


class CaseKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key of a case, by its place in the vault's file of them."""

    case_id: Annotated[str, Meta(max_length=80)]
    number: Annotated[int, Meta(ge=0, le=MOST_CASE_KEYS)]


class CasePlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one place where a box under the key of a case opens: this row of this case."""

    key: CaseKey
    kind: BoxKind
    row_id: Annotated[str, Meta(max_length=80)]


class OpenBox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open-box"):
    """Open one box at the door of `purpose`, for this person."""

    actor: Annotated[str, Meta(max_length=MAX_ACTOR_CHARACTERS)]
    context: SealContext
    envelope: bytes
    purpose: Purpose
    reason: Reason
    place: CasePlace | None = None  # of a box that lies under the key of its case


class Sign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sign"):
    """Sign the canonical JSON of one statement; its kind decides the key."""

    kind: StatementKind
    payload: bytes


class SignRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sign-request"):
    """Sign the signature base (RFC 9421) of one request to the feed."""

    base: bytes
    key: FeedKeyName


class MakeKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="make-key"):
    """Make the key file of this name, e.g. `sealing-2026-Q4`, unless it is there; return its public part."""

    name: Annotated[str, Meta(max_length=60)]


class ReadKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="read-key"):
    """Return the public part of a key in daily use, e.g. of `register` or `feed.former`."""

    name: Annotated[str, Meta(max_length=60)]


class HashText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hash-text"):
    """Hash a text under a key that only the vault has; equal texts of two kinds have different hashes."""

    kind: HashKind
    text: Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]


class HashIdentifiers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hash-identifiers"):
    """Hash identifiers of reports, each a kind and a normalised value, e.g. `phone` and `+447700900123`."""

    identifiers: Annotated[tuple[tuple[str, str], ...], Meta(max_length=MOST_IDENTIFIERS)]


class MakeCaseKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="make-case-keys"):
    """Make a random key for each of these new cases; the answer is their numbers, all above `above`."""

    case_ids: Annotated[tuple[Annotated[str, Meta(max_length=80)], ...], Meta(max_length=MOST_CASES)]
    above: Annotated[int, Meta(ge=-1, le=MOST_CASE_KEYS)] = -1


class CloseHeads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="close-heads"):
    """Put the head of each box under the key of its case."""

    heads: Annotated[tuple[tuple[CasePlace, Head], ...], Meta(max_length=MOST_CASES)]


class ListLostKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="list-lost-keys"):
    """Look for these keys without opening anything; the answer is the numbers of those that are not there or altered.

    A destroyed key is not lost.
    """

    keys: Annotated[tuple[CaseKey, ...], Meta(max_length=MOST_CASES)]


class KnownPasskey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A passkey of a person, as the desk's database has it."""

    credential_id: Annotated[bytes, Meta(max_length=MAX_TEXT_BYTES)]
    person: Annotated[str, Meta(max_length=MAX_ACTOR_CHARACTERS)]
    public_key: Annotated[bytes, Meta(max_length=MAX_TEXT_BYTES)]


class LearnPasskeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="learn-passkeys"):
    """Every passkey in use: record the new ones, and the ones that have ended."""

    passkeys: Annotated[tuple[KnownPasskey, ...], Meta(max_length=MOST_CASES)]


class SignedStepUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step-up of a passkey, with the statement that it signed (`assertions`)."""

    authenticator_data: bytes
    client_data: bytes
    credential_id: bytes
    signature: bytes
    statement: bytes


class BeginDestruction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="begin-destruction"):
    """Close the keys of every report on a list that its author and a second person signed."""

    listed: bytes  # the exact bytes of a `DestructionList`
    step_ups: tuple[SignedStepUp, SignedStepUp]


class ChangeDestruction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="change-destruction"
):
    """Stop a list within its days, or overwrite its keys after them."""

    actor: Annotated[str, Meta(max_length=MAX_ACTOR_CHARACTERS)]
    destruction_id: Annotated[str, Meta(max_length=80)]
    to: Literal["stopped", "destroyed"]


class GetStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="get-status"):
    """Ask for the state of the holder."""


class Unlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unlock"):
    """Open the keys with the passphrases of all custodians, in their order; the answer is the status."""

    # Bytes: the vault can overwrite them, and of a text there would be more copies.
    passphrases: Annotated[tuple[Annotated[bytes, Meta(max_length=MAX_TEXT_BYTES)], ...], Meta(max_length=2)]

    def __repr__(self) -> str:
        """Name the request without its passphrases: a repr ends in logs."""
        return "Unlock()"


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lock"):
    """Forget the keys until they are unlocked again."""


Request = (
    OpenBox
    | Sign
    | SignRequest
    | MakeKey
    | ReadKey
    | HashText
    | HashIdentifiers
    | MakeCaseKeys
    | CloseHeads
    | ListLostKeys
    | LearnPasskeys
    | BeginDestruction
    | ChangeDestruction
    | GetStatus
    | Unlock
    | Lock
)


class Bytes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bytes"):
    """The plain text of a box, a signed statement, a signature or a hash."""

    value: bytes


class Hashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hashes"):
    """Keyed hashes, in the order in which they were asked for."""

    values: tuple[bytes, ...]


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="numbers"):
    """The numbers of keys of cases."""

    values: tuple[int, ...]


class Heads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="heads"):
    """Heads of boxes under the keys of their cases, in the order in which they were given."""

    values: tuple[bytes, ...]


class Made(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="made"):
    """The public part of a key."""

    key: PublicKey


class Status(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status"):
    """The state of the holder; `key_ids` are those of its sealing keys, none while it is locked.

    `custodians` are the people whose passphrases open the keys, and `open_files` counts key files without passphrase.
    """

    key_ids: tuple[bytes, ...]
    custodians: tuple[str, ...] = ()
    is_locked: bool = False
    is_memory_locked: bool = False
    open_files: int = 0


Answer = Bytes | Hashes | Numbers | Heads | Made | Status
# A holder raises `ReportAbuseError` for a refusal.
Ask = Callable[[Request], Answer]
