"""References for reading aloud: 45 random bits, a check symbol, a prefix in the sandbox (WIRE.md §6.3)."""

from partner_sdk.errors import FormatError

# Crockford's base 32: no I, L, O, U, so nothing is misread or spells a word.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
RANDOM_BYTES = 6
_SYMBOLS = 9
_SANDBOX_PREFIX = "TEST"


def make_reference(environment: str, *, random: bytes) -> str:
    """Return a reference like `K7QF-2M9TX-D` from 6 random bytes (45 bits are used)."""
    if len(random) != RANDOM_BYTES:
        raise FormatError("A reference takes 6 random bytes.", reason="wrong-length")
    number = int.from_bytes(random, "big") >> 3
    symbols = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_SYMBOLS)))
    return _format(environment, symbols)


def parse_reference(text: str) -> str:
    """Return the one spelling of a reference that a person typed, or raise `FormatError` (`bad-reference`).

    E.g. `k7qf 2m9txd` gives `K7QF-2M9TX-D`. Case, spaces and hyphens do not matter; O reads as 0, I and L as 1. One
    wrong symbol is always noticed, two exchanged neighbours almost always.
    """
    squeezed = "".join(text.upper().split()).replace("-", "")
    environment = "sandbox" if squeezed.startswith(_SANDBOX_PREFIX) and len(squeezed) > _SYMBOLS + 1 else "live"
    body = squeezed.removeprefix(_SANDBOX_PREFIX) if environment == "sandbox" else squeezed
    body = body.translate(_MISREAD)
    if len(body) != _SYMBOLS + 1 or any(symbol not in _ALPHABET for symbol in body):
        raise FormatError("A reference has ten letters and digits, like K7QF-2M9TX-D.", reason="bad-reference")
    spelled = _format(environment, body[:_SYMBOLS])
    if spelled[-1] != body[-1]:
        raise FormatError("This reference has a typing error: check it again.", reason="bad-reference")
    return spelled


def check_reference(reference: str) -> None:
    """Raise `FormatError` (`bad-reference`) unless a reference is in its one spelling."""
    if parse_reference(reference) != reference:
        raise FormatError("A reference is not in its canonical form.", reason="bad-reference")


def get_reference_environment(reference: str) -> str:
    """Return the environment that a reference in its one spelling names."""
    # A live one may begin with the letters TEST too: it has one part less.
    return "sandbox" if reference.count("-") > _format("live", "0" * _SYMBOLS).count("-") else "live"


def _format(environment: str, symbols: str) -> str:
    spelled = f"{symbols[:4]}-{symbols[4:]}-{_make_check_symbol(symbols)}"
    return f"{_SANDBOX_PREFIX}-{spelled}" if environment == "sandbox" else spelled


def _make_check_symbol(symbols: str) -> str:
    # ISO/IEC 7064 hybrid system MOD 33,32: catches every single slip and almost every exchange of neighbours.
    base = len(_ALPHABET)
    carry = base
    for symbol in symbols:
        carry = (carry + _ALPHABET.index(symbol)) % base or base
        carry = carry * 2 % (base + 1)
    return _ALPHABET[(base + 1 - carry) % base]
