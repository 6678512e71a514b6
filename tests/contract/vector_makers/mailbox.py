"""Makes mailbox.json: one message of every kind to a partner, in a chain, and messages that are refused (WIRE.md §9)."""

import hashlib
import json
from typing import Any

from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.digest import DigestNotice
from partner_sdk.wire.mailbox import (
    FIRST_PREVIOUS,
    AskedAccount,
    InformationRequest,
    MessageKind,
    Notifier,
    OutcomeNote,
    Package,
    PreservationRequest,
    ReferralFacts,
    ServiceAlert,
    SetAsideNotice,
    SetAsideReport,
    TermsReferral,
    ThreadMessage,
    Welcome,
    message_sha256,
)
from tests.builders import NOW, Agency, Partner, make_key
from tests.contract.vector_makers.seeds import REPORT_ID
from tests.sdk.mailbox_builders import Post, make_post
from tests.sdk.sdk_builders import make_digest, make_overview

MESSAGE_ID = "019ab9f0-0000-7000-8000-000000000003"
ENTRY_ID = "019ab9f0-0000-7000-8000-000000000004"
# The end of central directory of a ZIP file without entries.
EMPTY_ARCHIVE = b"PK\x05\x06" + bytes(18)
REFERENCE = "K7QF-2M9TX-D"
DUE_AT = "2026-12-02T08:30:00Z"


def make_mailbox_messages() -> dict[str, Any]:
    """Return the file; its cases are read in order by one mailbox that was empty before."""
    agency, partner = Agency(), Partner()
    bodies: dict[MessageKind, Any] = {
        "welcome": Welcome(text="hello"),
        "information-request": InformationRequest(
            due_at=DUE_AT,
            legal_basis="Data Protection Act 2018, schedule 2, paragraph 2",
            purpose="To find the account.",
            question="Which other accounts used this device?",
            reference=REFERENCE,
            report_id=REPORT_ID,
            request_id="019ab9f0-0000-7000-8000-000000000002",
        ),
        "preservation-request": PreservationRequest(
            accounts=(
                AskedAccount(kind="username", value="mild_example"),
                AskedAccount(kind="account_id", value="acc-20417"),
            ),
            due_at=DUE_AT,
            legal_basis="Data Protection Act 2018, schedule 2, paragraph 2",
            preserve_until="2027-02-25T08:30:00Z",
            purpose="To keep the data until a court order is there.",
        ),
        "terms-referral": TermsReferral(
            account=AskedAccount(kind="username", value="mild_example"),
            facts=ReferralFacts(
                explanation="The profile says that its owner is eleven.",
                good_faith=True,
                locations=("https://chat.example/u/mild_example",),
                notifier=Notifier(email="referrals@agency.example", name="The agency"),
            ),
            rule="Minimum age",
        ),
        "alert": ServiceAlert(
            advice="Look at new accounts that send one link to many.",
            audience="Services with live streams",
            expires_at="2026-12-09T08:30:00Z",
            pattern="Accounts ask viewers to go on in another app.",
        ),
        "package": Package(
            archive=to_base64url(EMPTY_ARCHIVE),
            archive_sha256=hashlib.sha256(EMPTY_ARCHIVE).hexdigest(),
            title="A child in Bedfordshire",
            urgent=True,
        ),
        "thread-message": ThreadMessage(
            about=MESSAGE_ID,
            by="Duty officer",
            entry_id=ENTRY_ID,
            kind="reminder",
            text="",
        ),
        "outcome": OutcomeNote(
            outcome="actioned", reference=REFERENCE, released_at="2026-11-25T08:30:00Z", report_id=REPORT_ID
        ),
        "set-aside": SetAsideNotice(
            reason="unreadable",
            reports=(SetAsideReport(reference=REFERENCE, report_id=REPORT_ID),),
            set_aside_at="2026-11-25T08:30:00Z",
        ),
        "digest": make_digest(),
        "digest-not-published": DigestNotice("live", partner.partner, "2026-Q2"),
        "overview": make_overview(),
    }
    posts: list[Post] = []
    about_accounts = InformationRequest(
        accounts=(AskedAccount(kind="username", value="mild_example"),),
        due_at=DUE_AT,
        legal_basis="Data Protection Act 2018, schedule 2, paragraph 2",
        purpose="To find the child.",
        question="Which telephone number does this account have?",
        request_id=ENTRY_ID,
    )
    told: list[tuple[MessageKind, Any]] = [*bodies.items(), ("information-request", about_accounts)]
    for kind, body in told:
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        posts.append(make_post(len(posts) + 1, previous, kind=kind, body=to_base64url(encode(body))))
    following, last = len(posts) + 1, message_sha256(posts[-1].signed)
    stranger = load_signing_key(make_key(KeyRole.MAILBOX_SIGNING, name="stranger"))
    refused = [
        ("addressed to another partner inside", "wrong-recipient", make_post(following, last, recipient="example-game")),
        ("for the other environment inside", "wrong-environment", make_post(following, last, environment="sandbox")),
        ("signed by a stranger", "unknown-key", make_post(following, last, signed_by=stranger)),
        ("sealed to another partner", "altered-header", make_post(following, last, sealed_to=Partner("example-game"))),
        ("sealed under another partner's name", "wrong-key", make_post(following, last, context={"partner": "example-game"})),
        ("another message under a number that is taken", "number-reused", make_post(1, body=to_base64url(b'{"text":"hello again"}'))),
        ("does not follow the one before", "broken-chain", make_post(following, "0" * 64)),
        ("a number below one", "bad-number", make_post(0, last)),
        ("a kind that does not exist", "malformed", make_post(following, last, kind="advert")),
    ]  # fmt: skip
    return {
        "about": (
            "Messages of `GET /v1/mailbox` to one partner, to be received in this order by a mailbox that was empty before. "
            "`seed` is the partner's mailbox key. The gateway knows neither `kind` nor `body`."
        ),
        "environment": "live",
        "partner": partner.partner,
        "now": format_time(NOW),
        "seed": partner.key(KeyRole.MAILBOX).secret,
        "mailbox_keys": [json.loads(encode(one)) for one in agency.key_set().mailbox_keys],
        "cases": [
            *(
                _case(f"{kind} about accounts alone" if body is about_accounts else kind, "success", post)
                | {"kind": kind, "body": json.loads(encode(body))}
                for (kind, body), post in zip(told, posts, strict=True)
            ),
            *(_case(name, expect, post) for name, expect, post in refused),
        ],
    }


def _case(name: str, expect: str, post: Post) -> dict[str, Any]:
    return {"name": name, "expect": expect, "message_id": post.item.message_id, "envelope": post.item.envelope}
