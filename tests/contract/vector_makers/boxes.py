"""Makes boxes to the key of a return code: ours, the other library's, and boxes that no honest sender makes."""

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from gateway.exchange.public_report import make_reply_key
from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.sealing import HEADER_BYTES, Envelope, SealContext, make_suite, pad, seal, sealing_key_id
from tests.contract.vector_makers.other_library import ask_other_library


def seal_text(text: bytes, *, seed: bytes, context: SealContext) -> bytes:
    """Seal as in WIRE.md; stop unless the other library opens the box with the same seed."""
    envelope = seal(text, key=make_reply_key(to_base64url(xwing_public_bytes(seed))), context=context).to_bytes()
    opened = ask_other_library(
        do="open",
        seed=to_base64url(seed),
        info=to_base64url(_info(seed, context)),
        box=to_base64url(envelope[HEADER_BYTES:]),
    )
    if parse_base64url(opened["plaintext"]) != pad(text, purpose=context.purpose, sender=context.sender):
        raise SystemExit("The other library does not open our box.")
    return envelope


def make_other_box(text: bytes, *, seed: bytes, context: SealContext) -> bytes:
    """Let the other library seal."""
    public = xwing_public_bytes(seed)
    padded = pad(text, purpose=context.purpose, sender=context.sender)
    made = ask_other_library(
        do="seal",
        public_key=to_base64url(public),
        info=to_base64url(_info(seed, context)),
        plaintext=to_base64url(padded),
    )
    return Envelope(key_id=sealing_key_id(public), box=parse_base64url(made["box"])).to_bytes()


def seal_padded(text: bytes, last: bytes, *, seed: bytes, context: SealContext) -> bytes:
    """Seal a padded text that ends in `last`: in the place of a zero where it is one byte, behind them otherwise."""
    padded = pad(text, purpose=context.purpose, sender=context.sender)
    padded = padded[:-1] + last if len(last) == 1 else padded + last
    public = xwing_public_bytes(seed)
    loaded = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:1184]), X25519PublicKey.from_public_bytes(public[1184:])
    )
    box = make_suite().encrypt(padded, loaded, info=_info(seed, context))
    return Envelope(key_id=sealing_key_id(public), box=box).to_bytes()


def _info(seed: bytes, context: SealContext) -> bytes:
    return context.info(key_id=sealing_key_id(xwing_public_bytes(seed)))
