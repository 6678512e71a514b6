"""A package of an invented case, mild throughout, with every part that a package can have."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.outgoing.package_content import (
    Account,
    Condition,
    EvidenceItem,
    LegalGround,
    Line,
    Officer,
    PackageContent,
    Person,
    Redaction,
    SafeContact,
    Section,
    SourceReport,
)
from partner_sdk.reader.packages import SIGNED_PACKAGE, PackageManifest

SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNING_PUBLIC = SIGNING_KEY.public_key().public_bytes_raw()
PICTURE = b"\x89PNG an invented picture of a park bench"


def sign(manifest: PackageManifest) -> bytes:
    return SIGNED_PACKAGE.sign(manifest, SIGNING_KEY)


def make_item(body: bytes = PICTURE, **changes: Any) -> EvidenceItem:
    facts: dict[str, Any] = {
        "key": "e1",
        "name": "bench.PNG",
        "sha256": hashlib.sha256(body).hexdigest(),
        "size_bytes": len(body),
        "media_type": "image/png",
        "description": "A picture of a park bench, sent by example_user",
        "held_by": "Example Chat keeps it until 1 March 2027.",
        "report": "K7QF-2M9TX-D",
    }
    return EvidenceItem(**{**facts, **changes})


def make_content(**changes: Any) -> PackageContent:
    facts: dict[str, Any] = {
        "package_id": "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18",
        "environment": "sandbox",
        "reference": "K7QF-2M9TX-D",
        "title": "An adult wants to meet a girl of 13 in a park",
        "issued_at": "2026-11-29T01:10:00Z",
        "issuer": "Example Agency, report desk",
        "recipient": "Example Police, online child protection",
        "marking": "OFFICIAL-SENSITIVE",
        "is_urgent": True,
        "safe_contact": SafeContact(
            say="Ring her school between 09:00 and 15:00. Never ring or text her own phone.",
            lines=(
                Line(label="School", text="Ms Example, safeguarding lead, 01632 960000"),
                Line(label="Safe word", text="bluebell", of_reporter=True),
                Line(label="Who must not know", text="Her uncle, who lives there, sees her phone"),
            ),
        ),
        "summary": "An adult who says he is 15 writes to her every evening. He asked to meet on Saturday.",
        "redaction": Redaction(hides_reporter=False, reason="The police need to speak with the friend who reported."),
        "assessment": (
            Line(label="Child at immediate risk", text="Yes: a meeting is planned for Saturday"),
            Line(label="Urgent for police", text="Yes"),
            Line(label="Assessed by", text="Jo Example, 29 Nov 2026, 00:40 GMT"),
        ),
        "legal": (
            LegalGround(
                title="Law enforcement",
                law="Data Protection Act 2018, section 35(5) and Schedule 8, paragraphs 1, 3 and 4",
                say="Strictly necessary for a law enforcement purpose, and to protect a person under 18 from harm.",
                reason="He wants to meet her on Saturday; nobody else can stop it.",
                source="https://www.legislation.gov.uk/ukpga/2018/12/schedule/8",
                checked_on="2026-11-28",
            ),
        ),
        "handling": (
            Condition(title="Ask first", say="Do not pass it to another body without asking this desk."),
            Condition(title="Protect", say="Do not let anyone learn that a report was made, or who made it."),
        ),
        "officer": Officer(
            name="Jo Example",
            role="Supporting officer",
            telephone="01632 960001",
            email="desk@agency.example",
            hours="Day and night until the child is safe",
        ),
        "people": (
            Person(
                key="p1",
                role="child",
                title="The child",
                name="Zoë Example",
                lines=(Line(label="Age", text="13"), Line(label="Lives in", text="Leeds")),
            ),
            Person(
                key="p2",
                role="suspected",
                title="The person who wants to meet her",
                lines=(Line(label="Says his age is", text="15"),),
            ),
            Person(
                key="p3",
                role="other",
                title="A friend of the child",
                name="Quillon Marker",
                is_reporter=True,
                lines=(Line(label="School", text="Marker Lane School", of_reporter=True),),
            ),
        ),
        "accounts": (
            Account(key="a0", kind="account_id", value="example-user-1001", service="Example Chat", holder="p2"),
            Account(key="a1", kind="username", value="example_user", service="Example Chat", holder="p2"),
            Account(
                key="a2", kind="profile_url", value="https://chat.example/u/zoe", service="Example Chat", holder="p1"
            ),
            Account(key="a3", kind="ip", value="2001:db8::7"),
            Account(key="a4", kind="ip", value="192.0.2.7"),
            Account(key="a5", kind="email", value="someone@mail.example", holder="p2"),
            Account(key="a6", kind="phone", value="+441632960002", holder="p3"),
        ),
        "reports": (
            SourceReport(
                key="r1",
                reference="K7QF-2M9TX-D",
                sender="A friend of the child, through the form",
                received_at="2026-11-28T22:05:00Z",
                sealed_sha256=hashlib.sha256(b"the envelope").hexdigest(),
                sections=(
                    Section(
                        title="The story",
                        lines=(
                            Line(
                                label="In their own words",
                                text="he asks her 😢\nон пишет каждый вечер\nقال إنه في الخامسة عشرة\n说他十五岁",
                                is_quoted=True,
                            ),
                            Line(label="Still going on", text="Yes"),
                        ),
                    ),
                    Section(
                        title="The person reporting",
                        lines=(
                            Line(label="Name", text="Quillon Marker", of_reporter=True),
                            Line(label="Telephone", text="+441632960002", of_reporter=True),
                        ),
                    ),
                ),
                original='{"story":"he keeps asking her to meet him","name":"Quillon Marker"}',
            ),
        ),
        "evidence": (make_item(),),
        "guidance": (
            Section(
                title="Talking with the child",
                lines=(Line(label="First", text="Tell her that she did nothing wrong and is not in trouble."),),
            ),
        ),
    }
    return PackageContent(**{**facts, **changes})
