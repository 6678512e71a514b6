"""The front of the vault for the rest of the desk: `Vault` opens for a person and a reason, `Signer` does the rest.

Both hold no key: they ask a holder, in this process or behind a socket.

A statement is signed with the one key of its role. The payload is parsed as the kind that it claims to be, and must be
in its one spelling and of this desk's environment: no caller gets a signature over bytes of its own choice, or by the
key of another role.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.desk.vault import (
    HEAD_BYTES,
    MAX_ACTOR_CHARACTERS,
    MOST_CASES,
    MOST_IDENTIFIERS,
    Ask,
    BeginDestruction,
    Bytes,
    CaseKey,
    CasePlace,
    ChangeDestruction,
    CloseHeads,
    FeedKeyName,
    GetStatus,
    Hashes,
    HashIdentifiers,
    HashKind,
    HashText,
    Heads,
    KnownPasskey,
    LearnPasskeys,
    ListLostKeys,
    Lock,
    Made,
    MakeCaseKeys,
    MakeKey,
    Numbers,
    OpenBox,
    PublicKey,
    Purpose,
    ReadKey,
    Reason,
    Request,
    Sign,
    SignedStepUp,
    SignRequest,
    Status,
    Unlock,
    VaultError,
)
from gateway.desk.vault.key_folder import normalise_passphrase
from gateway.exchange.desk_statements import SIGNED_ALERT, SIGNED_ANCHOR, SIGNED_CERTIFICATE, SIGNED_FORGET_LIST
from gateway.exchange.feed import SIGNED_REGISTER
from gateway.exchange.public_report import SIGNED_REPLY
from gateway.guidance.agency import SIGNED_STAFFING
from partner_sdk.key_files import KeyRole
from partner_sdk.reader.packages import SIGNED_PACKAGE
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact
from partner_sdk.wire.mailbox import SIGNED_MESSAGE
from partner_sdk.wire.receipts import SIGNED_DESK_RECEIPT
from partner_sdk.wire.sealing import Envelope, SealContext
from partner_sdk.wire.signing import MAX_LIST_BYTES, PUBLIC_KEY_BYTES, SIGNED_KEY_SET, SignedKind, StatementKind

# Root change and delegation are not in here: the root signs them, and it is offline (keyring/delegation.py).
SIGNED_HERE: Final = MappingProxyType[StatementKind, SignedKind[Any]](
    {
        one.kind: one
        for one in (
            SIGNED_ALERT,
            SIGNED_ANCHOR,
            SIGNED_CERTIFICATE,
            SIGNED_DESK_RECEIPT,
            SIGNED_FORGET_LIST,
            SIGNED_KEY_SET,
            SIGNED_MESSAGE,
            SIGNED_PACKAGE,
            SIGNED_REGISTER,
            SIGNED_REPLY,
            SIGNED_STAFFING,
        )
    }
)
_KINDS: Final = MappingProxyType({one.payload: one.kind for one in SIGNED_HERE.values()})
_ROLES: Final = MappingProxyType({StatementKind.KEY_SET: KeyRole.KEY_SET, StatementKind.REGISTER: KeyRole.REGISTER})


def get_signing_role(kind: StatementKind) -> KeyRole:
    """Return the role of the one key that signs statements of a kind; raises `VaultError` (`not-signed-here`)."""
    if kind not in SIGNED_HERE:
        raise VaultError("The desk never signs statements of this kind.", reason="not-signed-here")
    return _ROLES.get(kind, KeyRole.MAILBOX_SIGNING)


def sign_request(request: Sign, *, private_key: Ed25519PrivateKey, environment: str) -> bytes:
    """Return the signed statement. Raises `FormatError` for another spelling, `VaultError`."""
    signed = SIGNED_HERE[request.kind]
    statement = parse_exact(request.payload, kind=signed.payload, max_bytes=MAX_LIST_BYTES)
    if statement.environment != environment:
        raise VaultError("The statement is for another environment than this desk's.", reason="wrong-environment")
    return signed.sign(statement, private_key)


AnswerT = TypeVar("AnswerT", Bytes, Hashes, Heads, Made, Numbers, Status)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class CaseBox:
    """A box under the key of its case, as it is stored."""

    place: CasePlace
    closed: bytes


@dataclass(frozen=True, slots=True)
class Vault:
    """The six doors. Each opening is in the vault's own record, with the person and the reason, before it happens."""

    ask: Ask
    actor: str
    reason: Reason

    def open_report(self, box: Envelope | CaseBox, *, context: SealContext) -> bytes:
        """Return the plain bytes of a report.

        Raises `OpeningError`: `unknown-key`, `does-not-open`, `bad-padding`, and `destroyed` for a box under a key of a
        case that is gone; `VaultError` if the vault cannot answer.
        """
        return self._open(box, context=context, purpose="report")

    def open_context(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the plain bytes that a partner attached to its button; raises as `open_report`."""
        return self._open(envelope, context=context, purpose="context")

    def open_enrolment(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the plain bytes of an enrolment; raises as `open_report`."""
        return self._open(envelope, context=context, purpose="enrol")

    def open_reply_copy(self, box: Envelope | CaseBox, *, context: SealContext) -> bytes:
        """Return the signed bytes of this desk's own reply; raises as `open_report`."""
        return self._open(box, context=context, purpose="reply")

    def open_message_copy(self, box: Envelope | CaseBox, *, context: SealContext) -> bytes:
        """Return the signed bytes of this desk's question to a partner; raises as `open_report`."""
        return self._open(box, context=context, purpose="mailbox")

    def open_entry(self, envelope: Envelope, *, context: SealContext) -> bytes:
        """Return the signed bytes of a partner's entry in a thread; raises as `open_report`."""
        return self._open(envelope, context=context, purpose="thread")

    def _open(self, box: Envelope | CaseBox, *, context: SealContext, purpose: Purpose) -> bytes:
        request = OpenBox(
            actor=self.actor[:MAX_ACTOR_CHARACTERS],
            context=context,
            envelope=box.closed if isinstance(box, CaseBox) else box.to_bytes(),
            purpose=purpose,
            reason=self.reason,
            place=box.place if isinstance(box, CaseBox) else None,
        )
        return _ask(self.ask, request, Bytes).value


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs statements and requests, makes keys, hashes texts; opens nothing."""

    ask: Ask

    def sign(self, statement: msgspec.Struct) -> bytes:
        """Return the signed bytes of a statement; its type decides the key.

        Raises `FormatError` for a statement that breaks its format, `LocalStateError` for its key, `VaultError`.
        """
        return _ask(self.ask, Sign(kind=_KINDS[type(statement)], payload=encode(statement)), Bytes).value

    def make_key(self, name: str) -> PublicKey:
        """Return the public part of the key file `keys/NAME.key`, made if it is missing. Raises as `sign`."""
        return _ask(self.ask, MakeKey(name=name), Made).key

    def read_key(self, name: str) -> PublicKey:
        """Return the public part of a key in daily use. Raises as `sign`."""
        return _ask(self.ask, ReadKey(name=name), Made).key

    def hash_text(self, kind: HashKind, text: str) -> bytes:
        """Return the 32 bytes of a keyed hash; its key is made at the first one. Raises as `sign`."""
        return _ask(self.ask, HashText(kind=kind, text=text), Bytes).value

    def hash_identifiers(self, identifiers: Sequence[tuple[str, str]]) -> list[bytes]:
        """Return the keyed hashes of identifiers of reports, 16 bytes each, with one key for each kind.

        Raises `LocalStateError` (`no-key-file`) without the key of the index, `VaultError`.
        """
        found: list[bytes] = []
        for start in range(0, len(identifiers), MOST_IDENTIFIERS):
            some = tuple(identifiers[start : start + MOST_IDENTIFIERS])
            found += _take_all(_ask(self.ask, HashIdentifiers(identifiers=some), Hashes).values, of=len(some))
        return found

    def make_case_keys(self, case_ids: Sequence[str], *, above: int) -> list[int]:
        """Make a key for each new case, and return their numbers, all above `above`; they are on the disk then.

        Raises as `sign`.
        """
        found: list[int] = []
        for start in range(0, len(case_ids), MOST_CASES):
            some = tuple(case_ids[start : start + MOST_CASES])
            request = MakeCaseKeys(case_ids=some, above=above)
            found += _take_all(_ask(self.ask, request, Numbers).values, of=len(some))
        return found

    def close_boxes(self, boxes: Sequence[tuple[CasePlace, bytes]]) -> list[bytes]:
        """Put boxes under the keys of their cases. Raises `OpeningError` (`destroyed`), and as `sign`."""
        closed: list[bytes] = []
        for start in range(0, len(boxes), MOST_CASES):
            some = boxes[start : start + MOST_CASES]
            request = CloseHeads(heads=tuple((place, box[:HEAD_BYTES]) for place, box in some))
            heads = _take_all(_ask(self.ask, request, Heads).values, of=len(some))
            closed += (head + box[HEAD_BYTES:] for head, (_, box) in zip(heads, some, strict=True))
        return closed

    def learn_passkeys(self, passkeys: Sequence[KnownPasskey]) -> None:
        """Hand over every passkey in use, for destructions a week from now. Raises as `sign`, and `RecordError`."""
        self._ask_for_numbers(LearnPasskeys(passkeys=tuple(passkeys)))

    def begin_destruction(self, listed: bytes, step_ups: tuple[SignedStepUp, SignedStepUp]) -> frozenset[int]:
        """Close the keys of a list that its author and a second person signed, and return their numbers.

        Safe to repeat. Raises `VaultError`, `OpeningError` (`does-not-open`) for a number of another case, and as
        `learn_passkeys`.
        """
        return self._ask_for_numbers(BeginDestruction(listed=listed, step_ups=step_ups))

    def change_destruction(
        self, destruction_id: str, to: Literal["stopped", "destroyed"], *, actor: str
    ) -> frozenset[int]:
        """Stop a list, or overwrite its keys after its days; return the numbers of the keys. Safe to repeat.

        Raises `VaultError`, and as `learn_passkeys`.
        """
        actor = actor[:MAX_ACTOR_CHARACTERS]
        return self._ask_for_numbers(ChangeDestruction(actor=actor, destruction_id=destruction_id, to=to))

    def _ask_for_numbers(
        self, request: ListLostKeys | LearnPasskeys | BeginDestruction | ChangeDestruction
    ) -> frozenset[int]:
        return frozenset(_ask(self.ask, request, Numbers).values)

    def list_lost_keys(self, keys: Sequence[CaseKey]) -> frozenset[int]:
        """Return the numbers of keys that the vault lacks or cannot read, destroyed ones apart. Raises as `sign`."""
        batches = (tuple(keys[start : start + MOST_CASES]) for start in range(0, len(keys), MOST_CASES))
        return frozenset().union(*(self._ask_for_numbers(ListLostKeys(keys=some)) for some in batches))

    def get_status(self) -> Status:
        """Return the state of the holder. Raises `LocalStateError` for a damaged key file, `VaultError`."""
        return _ask(self.ask, GetStatus(), Status)

    def unlock(self, passphrases: tuple[str, ...]) -> Status:
        """Open the keys of a vault. Raises `VaultError`."""
        return _ask(self.ask, Unlock(passphrases=tuple(normalise_passphrase(one) for one in passphrases)), Status)

    def lock(self) -> Status:
        """Make a vault forget its keys. Raises `VaultError`."""
        return _ask(self.ask, Lock(), Status)

    def load_feed_key(self, name: FeedKeyName = "feed") -> "FeedKey":
        """Return a key for the client of the feed; each signature is made in the vault. Raises as `sign`."""
        public_key = parse_base64url(self.read_key(name).public_key, length=PUBLIC_KEY_BYTES)
        return FeedKey(self.ask, public_key, name=name)


class FeedKey(Ed25519PrivateKey):
    """A private key that is not here: it asks the vault for each signature, and has no bytes to give."""

    def __init__(self, ask: Ask, public_key: bytes, *, name: FeedKeyName) -> None:
        self._ask, self._public_key, self._name = ask, public_key, name

    def public_key(self) -> Ed25519PublicKey:
        """Return the public half."""
        return Ed25519PublicKey.from_public_bytes(self._public_key)

    def sign(self, data: object) -> bytes:
        """Return the vault's signature over the signature base of a request to the feed."""
        return _ask(self._ask, SignRequest(base=bytes(data), key=self._name), Bytes).value  # type: ignore[call-overload]  # the library's own type, `Buffer`, is new in Python 3.12

    def private_bytes_raw(self) -> bytes:
        """Refuse: the bytes are in the vault."""
        raise _make_absence()

    def private_bytes(self, *_: object) -> bytes:
        """Refuse: the bytes are in the vault."""
        raise _make_absence()

    def __copy__(self) -> "FeedKey":
        """Return itself: it is immutable."""
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> "FeedKey":
        """Return itself: it is immutable."""
        return self


def _ask(ask: Ask, request: Request, kind: type[AnswerT]) -> AnswerT:
    answer = ask(request)
    if not isinstance(answer, kind):
        raise _make_mismatch()
    return answer


def _take_all(values: tuple[ValueT, ...], *, of: int) -> tuple[ValueT, ...]:
    if len(values) != of:
        raise _make_mismatch()
    return values


def _make_mismatch() -> VaultError:
    return VaultError("The vault answered another question.", reason="wrong-answer")


def _make_absence() -> VaultError:
    return VaultError("This private key is in the vault, and never leaves it.", reason="key-in-vault")
