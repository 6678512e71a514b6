"""The fixed time, ids and keys that every vector file is made of. Every secret here is a test secret and guards nothing."""

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
REPORT_ID = "019ab9f0-0000-7000-8000-000000000001"


def seed_for(label: str) -> bytes:
    """Return 32 bytes fixed by a label: vectors are public, nothing here is a secret."""
    return hashlib.sha256(b"report-abuse test vector: " + label.encode()).digest()


def signing_key(label: str) -> Ed25519PrivateKey:
    """Return the signing key that belongs to a label."""
    return Ed25519PrivateKey.from_private_bytes(seed_for(label))
