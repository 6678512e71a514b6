"""Hashes identifiers of reports under the key of the index. Never makes that key by the way, and never returns it.

With a new key, cases that were indexed before would match nothing, and nobody would notice.
"""

import hmac
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from partner_sdk.key_files import SEED_BYTES, KeyFile
from partner_sdk.wire.canonical import parse_base64url

_LABEL: Final = b"report-abuse desk identifier v1\0"
# Half of SHA-256: no two identifiers of a desk meet in it, and the index stays small.
IDENTIFIER_HASH_BYTES: Final = 16


def hash_identifiers(key_file: KeyFile, identifiers: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """Yield the hash of each identifier, a kind and a normalised value, e.g. `phone` and `+447700900123`."""
    secret = parse_base64url(key_file.secret, length=SEED_BYTES)
    keys: dict[str, bytes] = {}
    for kind, value in identifiers:
        if kind not in keys:
            # One key for each kind (HKDF, RFC 5869): equal hashes of two kinds never mean equal values.
            info = _LABEL + kind.encode()
            keys[kind] = HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(secret)
        yield hmac.digest(keys[kind], value.encode(), "sha256")[:IDENTIFIER_HASH_BYTES]
