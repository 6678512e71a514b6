"""Make partner_sdk/vectors/*.json anew. Every secret in them is a test secret and guards nothing.

Run by `make vectors`; needs Node and `npm install` in tests/contract/interop for the boxes of the other library.
Sealing is random, so a new run gives new bytes with the same names and the same expected results.
"""

import base64
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from partner_sdk.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.envelope import HEADER_BYTES, Envelope, SealContext
from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.keys import (
    Delegation,
    KeySet,
    Pin,
    RootChange,
    VerifyKey,
    fingerprint_of,
    make_sealing_key,
    sign_bundle,
)
from partner_sdk.padding import pad
from partner_sdk.sealing import make_suite, seal
from partner_sdk.signature_profile import content_digest, parse_signature_headers, signature_base
from partner_sdk.statements import (
    SignedStatement,
    StatementKind,
    key_id_of,
    parse_statement,
    public_bytes,
    sign_statement,
)
from partner_sdk.submission import SubmissionStatement

FOLDER = Path(__file__).resolve().parents[2] / "partner_sdk" / "vectors"
INTEROP = Path(__file__).resolve().parent / "interop"
NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
REPORT_ID = "019ab9f0-0000-7000-8000-000000000001"


def seed_for(label: str) -> bytes:
    """Return 32 bytes fixed by a label: vectors are public, nothing here is a secret."""
    return hashlib.sha256(b"report-abuse test vector: " + label.encode()).digest()


def ask_other_library(**request: str) -> dict[str, str]:
    """Run the other HPKE library on one request."""
    run = subprocess.run(
        ["node", "interop.mjs"], cwd=INTEROP, input=json.dumps(request).encode(), capture_output=True, check=True
    )
    answer: dict[str, str] = json.loads(run.stdout)
    return answer


def make_envelopes() -> dict[str, Any]:
    seed, other_seed = seed_for("sealing key"), seed_for("another sealing key")
    public = xwing_public_bytes(seed)
    times = {"not_before": NOW, "seal_until": NOW + timedelta(90), "open_until": NOW + timedelta(400)}
    key = make_sealing_key(public, state="active", **times)
    context = SealContext(
        environment="live",
        purpose="report",
        sender="example-chat",
        recipient="agency",
        id=REPORT_ID,
        kind="initial",
        priority="P2",
        schema_version="1",
    )
    text = "A mild example, é and 😀.".encode()
    good = seal(text, key=key, context=context).to_bytes()
    info = context.info(key_id=parse_base64url(key.key_id))
    padded = pad(text, purpose="report", sender="example-chat")
    foreign = ask_other_library(
        do="seal", public_key=to_base64url(public), info=to_base64url(info), plaintext=to_base64url(padded)
    )
    opened = ask_other_library(
        do="open", seed=to_base64url(seed), info=to_base64url(info), box=to_base64url(good[HEADER_BYTES:])
    )
    if parse_base64url(opened["plaintext"]) != padded:
        raise SystemExit("The other library does not open our box.")
    foreign_bytes = Envelope(key_id=parse_base64url(key.key_id), box=parse_base64url(foreign["box"])).to_bytes()

    def sealed_raw(raw: bytes) -> bytes:
        loaded = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:1184]), X25519PublicKey.from_public_bytes(public[1184:])
        )
        return Envelope(key_id=parse_base64url(key.key_id), box=make_suite().encrypt(raw, loaded, info=info)).to_bytes()

    def case(name: str, expect: str, envelope: bytes, **more: Any) -> dict[str, Any]:
        return {"name": name, "expect": expect, "envelope": to_base64url(envelope)} | more

    flipped = bytearray(good)
    flipped[-1] ^= 1
    header = bytearray(good)
    header[1] ^= 1
    other_key = make_sealing_key(xwing_public_bytes(other_seed), state="active", **times)
    return {
        "about": "Boxes of purpose report. Open with the seed, the context of the file unless a case has its own.",
        "seed": to_base64url(seed),
        "public_key": to_base64url(public),
        "key_id": key.key_id,
        "context": json.loads(encode(context)),
        "info": to_base64url(info),
        "plaintext": to_base64url(text),
        "cases": [
            case("sealed here", "success", good),
            case("sealed by @hpke/core with @hpke/hybridkem-x-wing", "success", foreign_bytes),
            case("version 2", "unknown-version", b"\x02" + good[1:]),
            case("another AEAD", "unknown-suite", good[:13] + b"\x00\x03" + good[15:]),
            case("shorter than a header", "truncated", good[:10]),
            case("shorter than key and tag", "truncated", good[:600]),
            case("last byte flipped", "wrong-key", bytes(flipped)),
            case("one byte missing", "wrong-key", good[:-1]),
            case("one byte more", "wrong-key", good + b"\0"),
            case("key id altered", "altered-header", bytes(header)),
            case(
                "sealed to another key",
                "wrong-key",
                good[:HEADER_BYTES] + seal(text, key=other_key, context=context).to_bytes()[HEADER_BYTES:],
            ),
            case(
                "opened as another priority",
                "wrong-key",
                good,
                context=json.loads(encode(context)) | {"priority": "P3"},
            ),
            case(
                "opened as another purpose",
                "wrong-key",
                good,
                context=json.loads(encode(context)) | {"purpose": "reply"},
            ),
            case("length larger than the box", "bad-padding", sealed_raw(b"\0\1\0\0" + bytes(4092))),
            case("padding not zero", "bad-padding", sealed_raw(padded[:-1] + b"\1")),
            case("padded to a size of no step", "bad-padding", sealed_raw(padded + bytes(100))),
            case("a step too many", "bad-padding", sealed_raw(padded + bytes(4096))),
            {"name": "padded base64", "expect": "not-canonical", "envelope": to_base64url(good) + "="},
            {
                "name": "a character outside the alphabet",
                "expect": "not-canonical",
                "envelope": to_base64url(good) + "*",
            },
            {
                "name": "larger than 4 MiB",
                "expect": "too-large",
                "envelope_repeats": {"head": to_base64url(good[:15]), "zeros": 5 * 1024 * 1024},
            },
        ],
    }


def make_statements() -> dict[str, Any]:
    key = Ed25519PrivateKey.from_private_bytes(seed_for("submission key"))
    stranger = Ed25519PrivateKey.from_private_bytes(seed_for("a stranger's key"))
    payload = SubmissionStatement(
        created_at=format_time(NOW),
        earlier_reference=None,
        environment="live",
        envelope_sha256="0" * 64,
        evidence_ids=(),
        kind="initial",
        partner="example-chat",
        priority="P2",
        report_id=REPORT_ID,
        schema_version="1",
    )
    good = sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(key,))
    parsed = parse_statement(good)
    body = parse_base64url(parsed.payload)

    def with_payload(raw: bytes) -> bytes:
        signed = b"DSSEv1 %d %b %d %b" % (
            len(parsed.payloadType),
            parsed.payloadType.encode(),
            len(raw),
            raw,
        )
        signature = {"keyid": key_id_of(public_bytes(key)), "sig": to_base64url(key.sign(signed))}
        return encode({"payload": to_base64url(raw), "payloadType": parsed.payloadType, "signatures": [signature]})

    def altered(**changes: Any) -> bytes:
        return encode(SignedStatement(**({n: getattr(parsed, n) for n in parsed.__struct_fields__} | changes)))

    cases = [
        ("signed here", "success", good),
        ("signed by a stranger", "unknown-key", sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(stranger,))),
        ("payload changed after signing", "bad-signature", altered(payload=to_base64url(body.replace(b'"P2"', b'"P1"')))),
        ("another kind", "wrong-kind", sign_statement(payload, kind=StatementKind.INTAKE, private_keys=(key,))),
        ("kind renamed after signing", "wrong-kind", altered(payloadType=StatementKind.INTAKE.value)),
        ("no signature", "wrong-signature-count", altered(signatures=())),
        ("two signatures", "wrong-signature-count", sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(key, stranger))),
        ("white space around the envelope", "not-canonical", good + b" "),
        ("white space in a signed payload", "not-canonical", with_payload(body.replace(b",", b", ", 1))),
        ("a key twice in a signed payload", "not-canonical", with_payload(b'{"created_at":"2026-11-25T08:30:00Z",' + body[1:])),
        ("a field that is not known", "malformed", with_payload(body[:-1] + b',"zone":"x"}')),
        ("a priority that does not exist", "malformed", with_payload(body.replace(b'"P2"', b'"P4"'))),
        ("an id that is no UUIDv7", "malformed", with_payload(body.replace(b"-7000-", b"-4000-"))),
        ("a digest in capitals", "malformed", with_payload(body.replace(b"0" * 64, b"A" * 64))),
        ("cut in the middle", "malformed", good[: len(good) // 2]),
    ]  # fmt: skip
    return {
        "about": "Submission statements (DSSE, Ed25519). One key is known.",
        "keys": {key_id_of(public_bytes(key)): to_base64url(public_bytes(key))},
        "payload": json.loads(body),
        "cases": [
            {"name": name, "expect": expect, "statement": to_base64url(statement)} for name, expect, statement in cases
        ],
    }


def make_key_sets() -> dict[str, Any]:
    root, next_root, stranger = (
        Ed25519PrivateKey.from_private_bytes(seed_for(label)) for label in ("root", "next root", "a stranger's root")
    )
    key_set_key = Ed25519PrivateKey.from_private_bytes(seed_for("key-set key"))
    receipt = public_bytes(Ed25519PrivateKey.from_private_bytes(seed_for("receipt key")))
    verify_key = VerifyKey(
        key_id=key_id_of(receipt),
        public_key=to_base64url(receipt),
        not_before=format_time(NOW),
        use_until=format_time(NOW + timedelta(365)),
        verify_until=format_time(NOW + timedelta(365 * 7)),
    )

    def key_set(serial: int = 3, environment: Any = "live", **more: Any) -> KeySet:
        fields: dict[str, Any] = {
            "issued_at": format_time(NOW),
            "expires_at": format_time(NOW + timedelta(90)),
            "sealing_keys": (
                make_sealing_key(
                    xwing_public_bytes(seed_for("sealing key")),
                    not_before=NOW,
                    seal_until=NOW + timedelta(90),
                    open_until=NOW + timedelta(400),
                    state="active",
                ),
            ),
            "receipt_keys": (verify_key,),
            "mailbox_keys": (),
            "register_keys": (),
        }
        return KeySet(environment=environment, serial=serial, **(fields | more))

    def delegation(by: Ed25519PrivateKey) -> bytes:
        payload = Delegation(
            environment="live",
            root_key=to_base64url(public_bytes(by)),
            key_set_key=to_base64url(public_bytes(key_set_key)),
            not_before=format_time(NOW),
            not_after=format_time(NOW + timedelta(365)),
        )
        return sign_statement(payload, kind=StatementKind.DELEGATION, private_keys=(by,))

    def bundle(by: Ed25519PrivateKey = root, change: bytes | None = None, signer: Ed25519PrivateKey = key_set_key, **more: Any) -> bytes:  # fmt: skip
        return sign_bundle(key_set=key_set(**more), delegation=delegation(by), key_set_key=signer, root_change=change)

    change = RootChange(
        environment="live",
        old_root_key=to_base64url(public_bytes(root)),
        new_root_key=to_base64url(public_bytes(next_root)),
        next_root_fingerprint=fingerprint_of(public_bytes(stranger)),
        changed_at=format_time(NOW),
    )

    def signed_change(*by: Ed25519PrivateKey) -> bytes:
        return sign_statement(change, kind=StatementKind.ROOT_CHANGE, private_keys=by)

    pin = Pin(
        environment="live",
        feed_key=None,
        root_fingerprint=fingerprint_of(public_bytes(root)),
        next_root_fingerprint=fingerprint_of(public_bytes(next_root)),
    )
    good = bundle()
    later = format_time(NOW + timedelta(91))
    cases: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("signed under the pinned root", "success", good, {}),
        ("the next root, signed by both", "success", bundle(next_root, signed_change(root, next_root)), {}),
        ("the next root without a change", "wrong-root", bundle(next_root), {}),
        ("the next root, signed by itself alone", "malformed", bundle(next_root, signed_change(next_root)), {}),
        ("the next root, signed in the wrong order", "bad-signature", bundle(next_root, signed_change(next_root, root)), {}),
        ("a stranger's root", "wrong-root", bundle(stranger), {}),
        ("a key set that its key did not sign", "bad-signature", bundle(signer=stranger), {}),
        ("another environment", "wrong-environment", bundle(environment="sandbox"), {}),
        ("an older serial", "stale-serial", good, {"highest_serial": 4}),
        ("the same serial, the same bytes", "success", good, {"highest_serial": 3, "highest_sha256": hashlib.sha256(good).hexdigest()}),
        ("the same serial, other bytes", "forked-serial", good, {"highest_serial": 3, "highest_sha256": "1" * 64}),
        ("after its expiry", "expired", good, {"now": later}),
        ("after its expiry, at the public door", "success", good, {"now": later, "allow_expired": True}),
        ("one key in two roles", "bad-key", bundle(register_keys=(verify_key,)), {}),
        ("a line break at the end", "malformed", good + b"\n", {}),
    ]  # fmt: skip
    return {
        "about": "Key-set bundles against one pin, at `now` unless a case has its own.",
        "pin": json.loads(encode(pin)),
        "now": format_time(NOW),
        "cases": [
            {"name": name, "expect": expect, "bundle": to_base64url(raw)} | more for name, expect, raw, more in cases
        ],
    }


def make_requests() -> dict[str, Any]:
    key = Ed25519PrivateKey.from_private_bytes(seed_for("submission key"))
    key_id = key_id_of(public_bytes(key))
    created = int(NOW.timestamp())
    body = b'{"a":1}'
    uri = "https://report.example/v1/reports"

    def signed(method: str, has_body: bool, target_uri: str = uri, created_at: int = created) -> dict[str, str]:
        covered = '"@method" "@target-uri"' + (' "content-type" "content-digest"' if has_body else "")
        parameters = f'({covered});created={created_at};keyid="{key_id}";alg="ed25519";nonce="AAAAAAAAAAAAAAAA";tag="report-abuse"'
        headers = {
            "signature-input": f"sig1={parameters}",
            "signature": "sig1=:" + base64.b64encode(bytes(64)).decode() + ":",
        }
        if has_body:
            headers |= {"content-type": "application/json", "content-digest": content_digest(body)}
        base = signature_base(parse_signature_headers(headers), method=method, target_uri=target_uri)
        return headers | {"signature": f"sig1=:{base64.b64encode(key.sign(base)).decode()}:"}

    post, get = signed("POST", True), signed("GET", False)

    def swapped(headers: dict[str, str], name: str, old: str, new: str) -> dict[str, str]:
        if old not in headers[name]:
            raise SystemExit(f"{old!r} is not in {name}")
        return headers | {name: headers[name].replace(old, new)}

    cases: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
        ("a post", "success", post, {}),
        ("a get", "success", get, {"method": "GET"}),
        ("the oldest that is taken", "success", post, {"now": created + 300}),
        ("a second too old", "stale", post, {"now": created + 301}),
        ("as far ahead as is taken", "success", post, {"now": created - 60}),
        ("a second too far ahead", "stale", post, {"now": created - 61}),
        ("sent to another address", "bad-signature", post, {"target_uri": uri + "?x=1"}),
        ("sent with another method", "bad-signature", post, {"method": "PUT", "body": body.decode()}),
        ("another content type", "bad-signature-headers", post | {"content-type": "text/plain"}, {}),
        ("another digest", "bad-signature", post | {"content-digest": content_digest(b"{}")}, {}),
        ("a body that was swapped", "wrong-digest", post, {"body": '{"a":2}'}),
        ("a body under a signature without one", "body-not-covered", signed("POST", False), {}),
        ("no body under a signature with one", "body-not-covered", signed("GET", True), {"method": "GET", "body": None}),
        ("no signature", "bad-signature-headers", {"content-type": "application/json"}, {}),
        ("two signatures", "bad-signature-headers", swapped(post, "signature", "sig1=:", "sig2=:AAAA:, sig1=:"), {}),
        ("another label", "bad-signature-headers", swapped(post, "signature-input", "sig1=", "sig2="), {}),
        ("another tag", "bad-signature-headers", swapped(post, "signature-input", "report-abuse", "other"), {}),
        ("no nonce", "bad-signature-headers", swapped(post, "signature-input", ';nonce="AAAAAAAAAAAAAAAA"', ""), {}),
        ("method alone", "bad-signature-headers", swapped(get, "signature-input", ' "@target-uri"', ""), {"method": "GET"}),
        ("parameters in another order", "bad-signature-headers", swapped(get, "signature-input", f';created={created};keyid="{key_id}"', f';keyid="{key_id}";created={created}'), {"method": "GET"}),
        ("an expiry", "bad-signature-headers", swapped(get, "signature-input", ";keyid", ";expires=9999999999;keyid"), {"method": "GET"}),
    ]  # fmt: skip
    return {
        "about": "Requests in the profile of WIRE.md §7, checked against one key.",
        "public_key": to_base64url(public_bytes(key)),
        "method": "POST",
        "target_uri": uri,
        "body": body.decode(),
        "now": created,
        "cases": [{"name": name, "expect": expect, "headers": headers} | more for name, expect, headers, more in cases],
    }


def main() -> int:
    """Write the four files."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in {
        "envelope": make_envelopes,
        "statement": make_statements,
        "key-set": make_key_sets,
        "request": make_requests,
    }.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
