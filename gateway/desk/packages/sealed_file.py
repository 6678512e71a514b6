"""Seals an archive for a body without keys: a passphrase that goes by another way (docs/package.md).

Never reads one: `package_reader.py` does, a file of its own for bodies that audit it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.errors import FormatError
from partner_sdk.package_reader import (
    ALPHABET,
    HEADER,
    MAGIC,
    PASSPHRASE_SYMBOLS,
    SALT_BYTES,
    SIZE,
    TAG_BYTES,
    TEXT_BYTES,
    VERSION,
    Costs,
    count_text_bytes,
    derive_keys,
    make_nonce,
    normalise_passphrase,
)

PASSPHRASE_RANDOM_BYTES: Final = 13
_GROUP: Final = 5
_BITS: Final = 5
COSTS: Final = Costs()


def make_passphrase(*, random: bytes) -> str:
    """Return a passphrase like `K7QF2-M9TXD-4BWRZ-0ACH8` from 13 random bytes, of which it holds 100 bits."""
    if len(random) != PASSPHRASE_RANDOM_BYTES:
        raise FormatError("A passphrase takes 13 random bytes.", reason="wrong-length")
    number = int.from_bytes(random, "big")
    symbols = "".join(ALPHABET[number >> _BITS * place & (len(ALPHABET) - 1)] for place in range(PASSPHRASE_SYMBOLS))
    return "-".join(symbols[at : at + _GROUP] for at in range(0, PASSPHRASE_SYMBOLS, _GROUP))


def count_sealed_file_bytes(size_bytes: int) -> int:
    """Return the size of the sealed file of an archive."""
    text = count_text_bytes(size_bytes)
    return HEADER.size + text + -(-text // TEXT_BYTES) * TAG_BYTES


def seal_file(
    archive: Iterable[bytes], *, size_bytes: int, passphrase: str, salt: bytes, costs: Costs = COSTS
) -> Iterator[bytes]:
    """Yield the sealed file of an archive that comes in pieces; `salt` is 16 random bytes, new for each file.

    Raises `FormatError` (`wrong-length`) unless the archive has exactly `size_bytes`.
    """
    if len(salt) != SALT_BYTES:
        raise FormatError("A salt has 16 bytes.", reason="wrong-length")
    key, check = derive_keys(normalise_passphrase(passphrase), salt=salt, costs=costs)
    left = count_text_bytes(size_bytes)
    header = HEADER.pack(MAGIC, VERSION, costs.lanes, costs.passes, costs.memory_kib, left, salt, check)
    yield header
    cipher = AESGCM(key)
    for counter, text in enumerate(_cut(_lay_out(archive, size_bytes))):
        left -= len(text)
        yield cipher.encrypt(make_nonce(counter, is_last=left == 0), text, header)


def _lay_out(archive: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    yield SIZE.pack(size_bytes)
    size = 0
    for piece in archive:
        size += len(piece)
        if size <= size_bytes:
            yield piece
    if size != size_bytes:
        raise FormatError("The archive has another size than was stated.", reason="wrong-length")
    yield bytes(count_text_bytes(size_bytes) - SIZE.size - size_bytes)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in texts of whole segments; the last may be shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= TEXT_BYTES:
            yield bytes(waiting[:TEXT_BYTES])
            del waiting[:TEXT_BYTES]
    if waiting:
        yield bytes(waiting)
