"""Signs requests of the `requests` library in our one profile of RFC 9421 (WIRE.md §7): the client half.

The checking half is signature_profile.py. Never signs a request twice: a retry is a new request with a new signature.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ED25519
from requests import PreparedRequest
from requests.auth import AuthBase

from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.signature_profile import (
    CONTENT_TYPE,
    COVERED_WITH_BODY,
    COVERED_WITHOUT_BODY,
    LABEL,
    PART_CONTENT_TYPE,
    TAG,
    content_digest,
)
from partner_sdk.wire.statements import key_id_of, public_bytes

NONCE_BYTES = 16


def read_clock() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class PartBody:
    """A part of evidence: eight megabytes that are hashed once, by whoever sealed them, and copied never."""

    content: memoryview
    sha256: bytes


class SignedRequestAuth(AuthBase):
    """Signs each request that passes with one Ed25519 key, at the moment that `clock` gives.

    Send with `allow_redirects=False`: `requests` would carry these headers to the new address. transport.py does so.
    """

    def __init__(
        self,
        private_key: Ed25519PrivateKey,
        *,
        clock: Callable[[], datetime] = read_clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.key_id = key_id_of(public_bytes(private_key))
        self._clock = clock
        self._random = random
        # The library writes the parameters as created, keyid, alg, nonce, tag: the order that the profile fixes.
        self._signer = HTTPMessageSigner(
            signature_algorithm=ED25519,
            key_resolver=MappingKeyResolver(public_keys={}, private_keys={self.key_id: private_key}),
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add `Content-Digest`, `Signature-Input` and `Signature`; a body must be bytes of the one content type.

        A part of evidence comes as a memoryview of its own content type, and brings its `Content-Digest` with it.
        """
        body: object = request.body
        if isinstance(body, memoryview):
            if request.headers.get("Content-Type") != PART_CONTENT_TYPE or "Content-Digest" not in request.headers:
                raise SignatureProfileError("A part must come with its type and digest.", reason="unsignable-body")
        elif isinstance(body, bytes):
            if request.headers.get("Content-Type") != CONTENT_TYPE:
                raise SignatureProfileError(f"A body must be sent as {CONTENT_TYPE}.", reason="unsignable-body")
            request.headers["Content-Digest"] = content_digest(body)
        elif body is not None:
            raise SignatureProfileError("Only a body of bytes can be signed.", reason="unsignable-body")
        self._signer.sign(
            request,
            key_id=self.key_id,
            created=self._clock(),
            nonce=to_base64url(self._random(NONCE_BYTES)),
            label=LABEL,
            tag=TAG,
            covered_component_ids=COVERED_WITHOUT_BODY if body is None else COVERED_WITH_BODY,
            body=body if isinstance(body, bytes) else None,  # given it, the library would hash a part again
            use_existing_digest=body is not None,
        )
        return request


class UnsignedRequestAuth(AuthBase):
    """Leaves a request as it is.

    Without it, `requests` would look for a password in `~/.netrc` and send that along.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request unchanged."""
        return request
