"""Padding before sealing: what is stored says as little as it can about how much was written (WIRE.md §3.3)."""

import struct

from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, OVERHEAD_BYTES

PUBLIC_PADDED_BYTES = 64 * 1024
STEP_BYTES = 4 * 1024
STEPPED_UP_TO_BYTES = 16 * 1024
CONTEXT_STEP_BYTES = 1024
CONTEXT_MAX_BYTES = 4 * 1024
MAX_PADDED_BYTES = MAX_ENVELOPE_BYTES - OVERHEAD_BYTES
PUBLIC_ENVELOPE_BYTES = PUBLIC_PADDED_BYTES + OVERHEAD_BYTES

_LENGTH = struct.Struct(">I")
MAX_PUBLIC_REPORT_BYTES = PUBLIC_PADDED_BYTES - _LENGTH.size
MAX_CONTEXT_STATEMENT_BYTES = CONTEXT_MAX_BYTES - _LENGTH.size


def pad(plaintext: bytes, *, purpose: str, sender: str) -> bytes:
    """Return a uint32 length, the plaintext, and zeros up to the size that its purpose allows.

    A public report always has one size; contexts grow in steps of 1 KiB up to 4 KiB; all else in steps of 4 KiB up to
    16 KiB, then as Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PoPETs 2019, §4).
    Raises `FormatError` (`too-large`) if it does not fit.
    """
    needed = _LENGTH.size + len(plaintext)
    target = padded_bytes(needed, purpose=purpose, sender=sender)
    return _LENGTH.pack(len(plaintext)) + plaintext + bytes(target - needed)


def padded_bytes(needed: int, *, purpose: str, sender: str) -> int:
    """Return the padded size for `needed` bytes (length field included), or raise `FormatError` (`too-large`)."""
    if purpose == "report" and sender == "public":
        target, most = PUBLIC_PADDED_BYTES, PUBLIC_PADDED_BYTES
    elif purpose == "context":
        target, most = _stepped(needed, CONTEXT_STEP_BYTES), CONTEXT_MAX_BYTES
    elif needed <= STEPPED_UP_TO_BYTES:
        target, most = _stepped(needed, STEP_BYTES), STEPPED_UP_TO_BYTES
    else:
        target, most = _padme(needed), MAX_PADDED_BYTES
    if needed > most or target > most:
        raise FormatError(
            f"The text is too long to be sealed: {most - _LENGTH.size} bytes at most.", reason="too-large"
        )
    return target


def unpad(padded: bytes, *, purpose: str, sender: str) -> bytes:
    """Return the plaintext, or raise `OpeningError` (`bad-padding`) unless `pad` would print these very bytes."""
    if len(padded) < _LENGTH.size:
        raise OpeningError("The padding is too short to hold a length.", reason="bad-padding")
    (length,) = _LENGTH.unpack_from(padded)
    end = _LENGTH.size + length
    if end > len(padded) or padded.count(0, end) != len(padded) - end:
        raise OpeningError("The padding is not a length, a text and zeros.", reason="bad-padding")
    try:
        expected = padded_bytes(end, purpose=purpose, sender=sender)
    except FormatError:
        expected = -1
    if expected != len(padded):
        raise OpeningError("The padding has a size that its purpose does not allow.", reason="bad-padding")
    return padded[_LENGTH.size : end]


def _stepped(needed: int, step: int) -> int:
    return -(-needed // step) * step


def _padme(needed: int) -> int:
    exponent = needed.bit_length() - 1
    mantissa_bits = exponent.bit_length()
    mask = (1 << (exponent - mantissa_bits)) - 1
    return (needed + mask) & ~mask
