"""Doors of a gateway, called without a socket by a client that is typed out by hand."""

import base64
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from werkzeug.test import TestResponse

from partner_sdk.wire.canonical import encode
from partner_sdk.wire.signing import CONTENT_TYPE, content_digest, key_id_of, public_bytes
from tests.builders.clock import NOW, StillClock

_nonces = itertools.count()


def sign_request(
    method: str,
    url: str,
    *,
    body: bytes | None,
    private_key: Ed25519PrivateKey,
    created: datetime = NOW,
    content_type: str = CONTENT_TYPE,
) -> dict[str, str]:
    """Return the headers of a signed request, written out by hand: an independent client of WIRE.md §7."""
    names, lines, headers = ['"@method"', '"@target-uri"'], [f'"@method": {method}', f'"@target-uri": {url}'], {}
    if body is not None:
        headers = {"Content-Type": content_type, "Content-Digest": content_digest(body)}
        for name, value in headers.items():
            names.append(f'"{name.lower()}"')
            lines.append(f'"{name.lower()}": {value}')
    parameters = (
        f'({" ".join(names)});created={int(created.timestamp())};keyid="{key_id_of(public_bytes(private_key))}"'
        f';alg="ed25519";nonce="nonce-of-a-test-{next(_nonces)}";tag="report-abuse"'
    )
    lines.append(f'"@signature-params": {parameters}')
    signature = base64.b64encode(private_key.sign("\n".join(lines).encode())).decode()
    return {**headers, "Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}


@dataclass(frozen=True)
class Door:
    """One listener of a gateway, called without a socket. Requests are signed if a key is given."""

    app: Flask
    origin: str
    clock: StillClock
    key: Ed25519PrivateKey | None = None

    def send(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Send one request; `headers` come on top of the signature's, or in their place."""
        sent: dict[str, str] = {"Content-Type": CONTENT_TYPE} if body is not None else {}
        if self.key is not None:
            sent = sign_request(method, self.origin + path, body=body, private_key=self.key, created=self.clock())
        sent.update(headers or {})
        return self.app.test_client(use_cookies=False).open(
            path, method=method, base_url=self.origin, data=body, headers=list(sent.items())
        )

    def get(self, path: str, **settings: Any) -> TestResponse:
        """Send a GET."""
        return self.send("GET", path, **settings)

    def post(self, path: str, value: object, **settings: Any) -> TestResponse:
        """Post a value as canonical JSON, or bytes as they are."""
        return self.send("POST", path, body=value if isinstance(value, bytes) else encode(value), **settings)
