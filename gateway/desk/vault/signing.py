"""The statements that the desk signs, each with the one key of its role; any other bytes are refused.

The payload is parsed as the kind that it claims to be, and must be in its one spelling and of this desk's environment.
So a caller can get no signature over bytes of its own choice, and none by the key of another role.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.vault import Sign, VaultError
from gateway.exchange.desk_statements import (
    AlertNotice,
    AuditAnchor,
    DestructionCertificate,
    ForgetList,
    sign_alert,
    sign_anchor,
    sign_certificate,
    sign_forget_list,
)
from gateway.exchange.feed import PartnerRegister, sign_register
from gateway.exchange.public_report import ReplyMessage, sign_reply
from gateway.guidance.agency import Staffing, sign_staffing
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.mailbox import MailboxMessage, PackageManifest, sign_manifest, sign_message
from partner_sdk.wire.receipts import DeskReceiptStatement, sign_desk_receipt
from partner_sdk.wire.signing import MAX_LIST_BYTES, KeySet, StatementKind, sign_key_set

Signable = (
    AlertNotice
    | AuditAnchor
    | DeskReceiptStatement
    | DestructionCertificate
    | ForgetList
    | KeySet
    | MailboxMessage
    | PackageManifest
    | PartnerRegister
    | ReplyMessage
    | Staffing
)


@dataclass(frozen=True, slots=True)
class SigningRule:
    """One kind of statement: its payload, the role of its key, and how it is signed."""

    payload: type[Any]
    role: KeyRole
    sign: Callable[[Any, Ed25519PrivateKey], bytes]


# Root change and delegation are not in here: the root signs them, and it is offline (keyring/delegation.py).
SIGNING_RULES: Final = MappingProxyType(
    {
        StatementKind.KEY_SET: SigningRule(
            KeySet, KeyRole.KEY_SET, lambda one, key: sign_key_set(one, key_set_key=key)
        ),
        StatementKind.REGISTER: SigningRule(
            PartnerRegister, KeyRole.REGISTER, lambda one, key: sign_register(one, register_key=key)
        ),
        StatementKind.MAILBOX_MESSAGE: SigningRule(
            MailboxMessage, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_message(one, mailbox_signing_key=key)
        ),
        StatementKind.REPLY: SigningRule(
            ReplyMessage, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_reply(one, mailbox_signing_key=key)
        ),
        StatementKind.ALERT: SigningRule(
            AlertNotice, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_alert(one, private_key=key)
        ),
        StatementKind.DESK_RECEIPT: SigningRule(
            DeskReceiptStatement,
            KeyRole.MAILBOX_SIGNING,
            lambda one, key: sign_desk_receipt(one, mailbox_signing_key=key),
        ),
        StatementKind.DESTRUCTION: SigningRule(
            DestructionCertificate, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_certificate(one, private_key=key)
        ),
        StatementKind.FORGET: SigningRule(
            ForgetList, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_forget_list(one, private_key=key)
        ),
        StatementKind.AUDIT_ANCHOR: SigningRule(
            AuditAnchor, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_anchor(one, private_key=key)
        ),
        StatementKind.STAFFING: SigningRule(
            Staffing, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_staffing(one, private_key=key)
        ),
        StatementKind.PACKAGE: SigningRule(
            PackageManifest, KeyRole.MAILBOX_SIGNING, lambda one, key: sign_manifest(one, private_key=key)
        ),
    }
)
KINDS_BY_PAYLOAD: Final = MappingProxyType({rule.payload: kind for kind, rule in SIGNING_RULES.items()})


def get_rule(kind: StatementKind) -> SigningRule:
    """Return the rule of a kind; raises `VaultError` (`not-signed-here`)."""
    if kind not in SIGNING_RULES:
        raise VaultError("The desk never signs statements of this kind.", reason="not-signed-here")
    return SIGNING_RULES[kind]


def sign_request(request: Sign, *, private_key: Ed25519PrivateKey, environment: str) -> bytes:
    """Return the signed statement. Raises `FormatError` for another spelling, `VaultError`."""
    rule = get_rule(request.kind)
    statement = parse_exact(request.payload, kind=rule.payload, max_bytes=MAX_LIST_BYTES)
    if statement.environment != environment:
        raise VaultError("The statement is for another environment than this desk's.", reason="wrong-environment")
    return rule.sign(statement, private_key)
