"""The one profile of HTTP Message Signatures (RFC 9421) that this service speaks (WIRE.md §7).

The client half is client/http.py; the gateway's `exchange/request_signatures.py` checks.
"""

import base64
import hashlib

LABEL = "sig1"
TAG = "report-abuse"
COVERED_WITHOUT_BODY = ("@method", "@target-uri")
COVERED_WITH_BODY = ("@method", "@target-uri", "content-type", "content-digest")
CONTENT_TYPE = "application/json"
PART_CONTENT_TYPE = "application/octet-stream"  # of a part of evidence, and of nothing else


def content_digest(body: bytes) -> str:
    """Return the `Content-Digest` header of a body (RFC 9530 §2), SHA-256 alone."""
    return content_digest_of(hashlib.sha256(body).digest())


def content_digest_of(sha256: bytes) -> str:
    """Return the `Content-Digest` header of a body whose SHA-256 is known: a part of evidence is hashed once."""
    return f"sha-256=:{base64.b64encode(sha256).decode('ascii')}:"
