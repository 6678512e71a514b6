"""A passkey in software, for the demonstration and the tests: it answers a desk's options as a browser's device does.

Never guards anything: its key lies in this process, and it confirms a person who is not there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url

# Flags of the authenticator data (WebAuthn §6.1): present, verified, attested data follows.
PRESENT: Final = 0x01
VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40
_NO_MODEL: Final = bytes(16)
# CBOR (RFC 8949) of a COSE key {1: 1, 3: -8, -1: 6, -2: <32 bytes>}: OKP, EdDSA, Ed25519 (RFC 9053 §7.2).
_COSE_ED25519: Final = bytes.fromhex("a4010103272006215820")
# CBOR of {"fmt": "none", "attStmt": {}, "authData": <two bytes of length>}.
_NO_ATTESTATION: Final = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"


class SoftPasskey:
    """One device of one person. `counter` goes up with each touch; a test may set it back."""

    def __init__(self, origin: str, *, random: Callable[[int], bytes], flags: int = PRESENT | VERIFIED) -> None:
        self.origin = origin
        self.flags = flags
        self.counter = 0
        self.credential_id = random(32)
        self.handle = b""
        self._private_key = Ed25519PrivateKey.from_private_bytes(random(32))

    def register(self, options: Mapping[str, Any]) -> str:
        """Return the JSON that a browser makes of `navigator.credentials.create(options)`."""
        self.handle = parse_base64url(options["user"]["id"])
        key = _COSE_ED25519 + self._private_key.public_key().public_bytes_raw()
        length = len(self.credential_id).to_bytes(2, "big")
        data = self._make_data(options["rp"]["id"], flags=self.flags | _ATTESTED)
        data += _NO_MODEL + length + self.credential_id + key
        attestation = _NO_ATTESTATION + len(data).to_bytes(2, "big") + data
        client_data = self._make_client_data("webauthn.create", options)
        return self._make_answer(attestationObject=attestation, clientDataJSON=client_data)

    def touch(self, options: Mapping[str, Any]) -> str:
        """Return the JSON that a browser makes of `navigator.credentials.get(options)`."""
        self.counter += 1
        client_data = self._make_client_data("webauthn.get", options)
        data = self._make_data(options["rpId"], flags=self.flags)
        signature = self._private_key.sign(data + hashlib.sha256(client_data).digest())
        return self._make_answer(
            authenticatorData=data, clientDataJSON=client_data, signature=signature, userHandle=self.handle
        )

    def _make_data(self, rp_id: str, *, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _make_client_data(self, kind: str, options: Mapping[str, Any]) -> bytes:
        return encode({"challenge": options["challenge"], "crossOrigin": False, "origin": self.origin, "type": kind})

    def _make_answer(self, **parts: bytes) -> str:
        own_id = to_base64url(self.credential_id)
        response = {name: to_base64url(part) for name, part in parts.items()}
        return json.dumps({"id": own_id, "rawId": own_id, "response": response, "type": "public-key"})
