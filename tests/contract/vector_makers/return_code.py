"""Makes return-code.json: five words and a reference to the X-Wing key of a return code (WIRE.md §9.2)."""

import hashlib
from typing import Any

from gateway.public.returning import derive_return_keys, hash_token, load_return_words, make_reply_public_key
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from tests.contract.vector_makers.other_library import ask_other_library

REFERENCE = "K7QF-2M9TX-D"
CODE = "acorn bagel camel daisy eagle"


def make_return_codes() -> dict[str, Any]:
    """Return the file: derivations that fit or give another key, and typed input."""
    words = load_return_words()
    first = _derive("the first key", "success", code=CODE, reference=REFERENCE)
    others = [
        _derive("the same words under another reference", "success", code=CODE, reference="C5H6-6S35C-3"),
        _derive("the same words in the sandbox", "success", code=CODE, reference=f"TEST-{REFERENCE}"),
        _derive(
            "the first words of the list, one five times", "success", code=" ".join(words[:1] * 5), reference=REFERENCE
        ),
        _derive("words in another order", "another-key", code="bagel acorn camel daisy", reference=REFERENCE),
        _derive("a word changed", "another-key", code="acorn bagel camel daisy earth", reference=REFERENCE),
        _derive("a capital letter", "another-key", code="Acorn bagel camel daisy eagle", reference=REFERENCE),
        _derive("two spaces", "another-key", code="acorn  bagel camel daisy eagle", reference=REFERENCE),
        _derive("the reference without hyphens", "another-key", code=CODE, reference=REFERENCE.replace("-", "")),
    ]
    typed = [
        ("as it is said", "success", CODE),
        ("capitals, commas and spaces", "success", "  Acorn, BAGEL,camel -  daisy. eagle"),
        ("a word a line", "success", "acorn\nbagel\ncamel\ndaisy\neagle\n"),
        ("four words", "not-a-code", "acorn bagel camel daisy"),
        ("six words", "not-a-code", f"{CODE} {words[0]}"),
        ("a word that is not in the list", "not-a-code", "acorn bagel camel daisy zzzz"),
        ("words run together", "not-a-code", "acornbagel camel daisy eagle"),
        ("nothing", "not-a-code", ""),
    ]
    return {
        "about": "Return codes. `salt`, `raw`, `seed` and `token` in base64url; `another-key` is one that is not the first key.",
        "words_sha256": hashlib.sha256(" ".join(words).encode()).hexdigest(),
        "code": CODE,
        "cases": [first, *others, *({"name": name, "expect": expect, "typed": text} for name, expect, text in typed)],
    }


def _derive(name: str, expect: str, *, code: str, reference: str) -> dict[str, Any]:
    # The steps are those of Argon2id and HKDF in another library; ours must come to the same seed and token.
    steps = ask_other_library(do="derive", code=code, reference=reference)
    keys = derive_return_keys(code, reference=reference)
    if (parse_base64url(steps["seed"]), parse_base64url(steps["token"])) != keys:
        raise SystemExit(f"The other library makes another key: {name}.")
    stored = {"token_sha256": to_base64url(hash_token(keys.token))}
    case = {"name": name, "expect": expect, "code": code, "reference": reference} | steps | stored
    return case | ({"reply_key": make_reply_public_key(keys.seed)} if expect == "success" else {})
