"""The vectors of the return code: its key, the place that it opens, and the messages that wait for it."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.exchange.public_report import MAX_REPLY_ENVELOPE_BYTES, SIGNED_REPLY, make_reply_key
from gateway.public import returning
from gateway.public.returning import ReturnPlace, _open_one, open_place
from gateway.store.items import StoredItem
from partner_sdk.wire.canonical import encode, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.sealing import SealContext, seal
from partner_sdk.wire.signing import Environment
from tests.contract.vector_files import FILES, bytes_of, cases_of, known_keys_of, mailbox_keys_of, result_of
from tests.contract.vector_makers.other_library import ask_other_library

WORDS = returning.load_return_words()
CODES, PLACES, REPLIES = FILES["return-code"], FILES["place"], FILES["reply"]


def derive_by_hand(code: str, reference: str) -> tuple[bytes, ...]:
    """WIRE.md §9.2 typed out: nothing of ours is used, and HKDF is RFC 5869 in two calls of HMAC."""
    salt = hashlib.sha256(b"report-abuse return code salt v2" + reference.encode("ascii")).digest()
    raw = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=16384).derive(code.encode("ascii"))
    extracted = hmac.digest(bytes(32), raw, "sha256")
    seed = hmac.digest(extracted, b"report-abuse return code seed v2\x01", "sha256")
    token = hmac.digest(extracted, b"report-abuse return code token v2\x01", "sha256")
    return salt, raw, seed, token, hashlib.sha256(token).digest()


def expand_by_hand(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """WIRE.md §3.1 typed out: SHAKE256 to 96 bytes, 64 for ML-KEM and 32 for X25519."""
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def open_by_hand(box: bytes, seed: bytes, *fields: bytes) -> bytes:
    """WIRE.md §3 typed out: header, `info` and padding; returns the text."""
    version, key_id, suite = box[:1], box[1:9], box[9:15]
    assert (version, suite) == (b"\x01", b"\x64\x7a\x00\x01\x00\x02")
    info = b"report-abuse envelope\x01"
    for field in (b"live", key_id, suite, b"reply", *fields, b"none", b"1"):
        info += len(field).to_bytes(2, "big") + field
    hpke = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    padded = hpke.decrypt(box[15:], MLKEM768X25519PrivateKey(*expand_by_hand(seed)), info=info)
    length = int.from_bytes(padded[:4], "big")
    assert len(padded) == 4096
    assert padded[4 + length :].count(0) == 4096 - 4 - length
    return padded[4 : 4 + length]


@pytest.mark.parametrize("case", cases_of("return-code", having="seed"))
def test_words_and_reference_give_the_keys_of_the_file(case: dict[str, Any]) -> None:
    first = CODES["cases"][0]
    seed, token = returning.derive_return_keys(case["code"], reference=case["reference"])
    steps = ("salt", "raw", "seed", "token", "token_sha256")
    assert derive_by_hand(case["code"], case["reference"]) == tuple(bytes_of(case, step) for step in steps)
    assert (seed, token, returning.hash_token(token)) == tuple(bytes_of(case, step) for step in steps[2:])
    for derived, step in ((seed, "seed"), (token, "token")):
        is_other = derived != bytes_of(first, step)
        assert (case["expect"], is_other) in {("success", case is not first), ("another-key", True)}
    if case["expect"] == "success":
        assert returning.make_reply_public_key(seed) == case["reply_key"]
        mlkem, x25519 = (private.public_key().public_bytes_raw() for private in expand_by_hand(seed))
        assert parse_base64url(case["reply_key"]) == mlkem + x25519
        assert set(case["code"].split(" ")) <= set(WORDS)


def test_list_of_words_is_the_one_of_the_file() -> None:
    # A word that leaves the list locks out whoever was given it.
    assert hashlib.sha256(" ".join(WORDS).encode()).hexdigest() == CODES["words_sha256"]


@pytest.mark.parametrize("case", cases_of("return-code", having="typed"))
def test_typed_words_are_the_code_or_none(case: dict[str, Any]) -> None:
    expected = {"success": CODES["code"], "not-a-code": None}
    assert returning.find_code(case["typed"], words=WORDS) == expected[case["expect"]]


@pytest.mark.parametrize("file", [PLACES, REPLIES], ids=["place", "reply"])
def test_boxes_are_for_the_key_of_the_return_code_file(file: dict[str, Any]) -> None:
    first = CODES["cases"][0]
    named = ("code", "reference", "reply_key", "seed")
    assert [file[name] for name in named] == [first[name] for name in named]


@pytest.mark.parametrize("case", cases_of("place"))
def test_place_gives_its_expected_result(case: dict[str, Any]) -> None:
    def read() -> None:
        place = open_place(
            read_box(PLACES, case, "text"),
            seed=bytes_of(PLACES | case, "seed"),
            environment=(PLACES | case)["environment"],
            reference=(PLACES | case)["reference"],
        )
        assert json.loads(encode(place)) == PLACES["place"] | case.get("place", {})

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("reply"))
def test_reply_gives_its_expected_result_when_the_gateway_opens_it(case: dict[str, Any]) -> None:
    asked = REPLIES | case
    now = parse_time(asked["now"])

    def read() -> None:
        # The page itself leaves out what does not open, without a reason: this is the one step before.
        message = _open_one(
            StoredItem(1, asked["reference"], asked["message_id"], now, read_box(REPLIES, case, "statement")),
            seed=bytes_of(asked, "seed"),
            place=make_place(asked["environment"], asked["reference"]),
            signers=mailbox_keys_of(REPLIES),
            now=now,
        )
        assert json.loads(encode(message)) == REPLIES["message"] | case.get("message", {})

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("reply", having="statement"))
def test_signed_reply_gives_the_same_result_when_the_desk_reads_its_own(case: dict[str, Any]) -> None:
    raw = bytes_of(case, "statement")

    def read() -> None:
        keys = known_keys_of(REPLIES, issued_at=SIGNED_REPLY.peek(raw).issued_at, now=(REPLIES | case)["now"])
        SIGNED_REPLY.open(raw, keys=keys)

    # What stands on the box is compared by whoever opens it.
    assert result_of(read) == ("success" if case["expect"] == "wrong-reference" else case["expect"])


@pytest.mark.parametrize("file", [PLACES, REPLIES], ids=["place", "reply"])
def test_library_of_the_browsers_opens_our_boxes_with_the_seed_and_what_a_page_knows(file: dict[str, Any]) -> None:
    box, context = parse_base64url(file["cases"][0]["envelope"]), SealContext(**file["context"])
    asked = {"box": box[15:], "seed": bytes_of(file, "seed"), "info": context.info(key_id=box[1:9])}
    answer = ask_other_library(do="open", **{name: to_base64url(raw) for name, raw in asked.items()})
    padded = bytes_of(answer, "plaintext")
    text = json.loads(padded[4 : 4 + int.from_bytes(padded[:4], "big")])
    assert text.get("reference", REPLIES["reference"]) == file["reference"]
    assert set(text) == ({"payload", "payloadType", "signatures"} if file is REPLIES else set(PLACES["place"]))


def test_boxes_of_both_libraries_open_by_hand() -> None:
    seed, reference = bytes_of(CODES["cases"][0], "seed"), REPLIES["reference"].encode()
    for case in REPLIES["cases"][:2]:
        fields = (b"agency", reference, REPLIES["message_id"].encode(), b"message")
        signed = json.loads(open_by_hand(bytes_of(case, "envelope"), seed, *fields))
        assert signed["payloadType"] == "application/vnd.report-abuse.reply.v1+json"
        assert json.loads(parse_base64url(signed["payload"])) == REPLIES["message"]
    for case in PLACES["cases"][:2]:
        fields = (b"gateway", reference, reference, b"place")
        assert json.loads(open_by_hand(bytes_of(case, "envelope"), seed, *fields)) == PLACES["place"]


def make_place(environment: Environment, reference: str) -> ReturnPlace:
    return ReturnPlace(**PLACES["place"] | {"environment": environment, "reference": reference})


def read_box(file: dict[str, Any], case: dict[str, Any], inner: str) -> bytes:
    """Return the box of a case, or seal its content as the file asks."""
    if inner in case:
        context = SealContext(**file["context"])
        return seal(bytes_of(case, inner), key=make_reply_key(file["reply_key"]), context=context).to_bytes()
    return parse_base64url(case["envelope"], max_bytes=2 * MAX_REPLY_ENVELOPE_BYTES)
