"""The form's sealing script in two browsers, under the form's own policy: vectors, boxes of Python, a real receipt.

It must open what Python sealed, Python must open what it sealed, and it must refuse what the vectors refuse, for the
same reason.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.exchange.public_report import place_context, reply_context
from gateway.public.door import EXTENSION
from partner_sdk.key_files import KeyRole, load_signing_key, load_xwing_private_key
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import Envelope, SealContext, SealingKey, make_suite, seal, unpad
from partner_sdk.wire.submission import ClearFields, report_context
from tests.builders import Partner
from tests.contract.vector_files import FILES
from tests.whole.public_server import POLICY_PARTS, PublicServer, ShownPages, serve_public
from tests.widget.browsers import Firefox, Visit, Visitor, open_chromium_visitor

CALLS = (Path(__file__).parent / "sealing_calls.js").read_text("utf-8")
PAGE = '<!doctype html><html lang=en><link rel=icon href="%s"><title>-</title><script type=module src="%s"></script>'
MODULE = "import * as sealing from '%s'\nglobalThis.sealing = sealing\n"
# A text that becomes code, as the page itself would make it: a browser's driver may.
TRY_EVAL = """async () => {
  const stopped = new Promise(done =>
    document.addEventListener('securitypolicyviolation', one => done(one.effectiveDirective), { once: true }))
  await new Promise(done => setTimeout(done))
  const end = await new Promise(done => setTimeout(() => { try { eval('1'); done('ran') } catch { done('blocked') } }))
  return end === 'ran' ? end : `${end} by ${await stopped}`
}"""
# An opener cannot know why a box does not open, and it has one word for it.
ONE_WORD = {"altered-header": "wrong-key"}
Call = Sequence[Any]


def raw(given: bytes | str, **more: int) -> dict[str, Any]:
    """Write bytes, or the base64url of some, as the page reads them."""
    return {"bytes": to_base64url(given) if isinstance(given, bytes) else given, **more}


def at(time: str) -> dict[str, str]:
    return {"time": time}


def result(number: int, name: str) -> dict[str, Any]:
    """Name a field of the result of an earlier call."""
    return {"of": number, "name": name}


@dataclass(frozen=True)
class Script:
    """The sealing script in a page of the form, in one browser."""

    visitor: Visitor
    server: PublicServer
    address: str

    def call(self, *calls: Call) -> list[Any]:
        """Make the calls in one new page, and return for each its result, bytes as bytes, or its reason as a text."""
        sight = self.visitor.visit(Visit(self.address, (("look", f"() => ({CALLS})({json.dumps(calls)})"),)))
        ends = json.loads(*sight.seen)
        assert sight.complaints == []
        assert all(one.startswith(f"{self.server.url}/") for one in sight.requests)
        assert len(ends) == len(calls)
        return [self._read(end) for end in ends]

    @staticmethod
    def _read(end: Mapping[str, Any]) -> Any:
        assert "broke" not in end, end
        if "reason" in end:
            return end["reason"]
        return parse_base64url(end["result"]["bytes"]) if "bytes" in end["result"] else end["result"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PublicServer, str]]:
    """A form, and the address of a page of it, with its policy, that loads the script and nothing else."""
    with serve_public(tmp_path_factory.mktemp("form")) as server:
        client = server.public.app.test_client()
        page, module = (client.get("/", base_url=server.url) for _ in range(2))
        policy = page.headers["Content-Security-Policy"]
        assert [part for part in POLICY_PARTS if part not in policy] == []
        assert "unsafe" not in policy
        assets = server.public.app.extensions[EXTENSION].assets
        shown = ShownPages(server, {"page": page, "module": module})
        page.set_data(PAGE % (assets["icon.svg"].path, shown.addresses["module"]))
        module.set_data(MODULE % assets["sealing.js"].path)
        module.headers["Content-Type"] = "text/javascript; charset=utf-8"
        yield server, shown.addresses["page"]


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def script(request: pytest.FixtureRequest, served: tuple[PublicServer, str]) -> Iterator[Script]:
    """The script in each of the two browsers in turn."""
    if request.param == "chromium":
        with open_chromium_visitor() as chromium:
            yield Script(chromium, *served)
    else:
        firefox: Firefox = request.getfixturevalue("firefox")
        yield Script(firefox, *served)


def test_page_has_the_policy_of_the_form(script: Script) -> None:
    sight = script.visitor.visit(Visit(script.address, (("look", TRY_EVAL),)))
    assert sight.seen in (["blocked by script-src"], ["blocked by require-trusted-types-for"])


def words_for(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    return [ONE_WORD.get(case["expect"], case["expect"]) for case in cases]


def outcomes(ends: Sequence[Any]) -> list[str]:
    return [end if isinstance(end, str) else "success" for end in ends]


def is_bytes(case: Mapping[str, Any]) -> bool:
    """Return whether a case is about bytes: of base64url in another spelling there are none."""
    return case["expect"] != "not-canonical"


def test_boxes_of_the_vectors_open_and_are_refused(script: Script) -> None:
    file = FILES["envelope"]
    cases = [case for case in file["cases"] if is_bytes(case)]
    assert len(cases) == 18
    boxes = [
        raw(case["envelope"])
        if "envelope" in case
        else raw(case["envelope_repeats"]["head"], zeros=case["envelope_repeats"]["zeros"])
        for case in cases
    ]
    contexts = [{**file["context"], **case.get("context", {})} for case in cases]
    ends = script.call(
        *(["open", box, raw(file["seed"]), context] for box, context in zip(boxes, contexts, strict=True))
    )
    assert outcomes(ends) == words_for(cases)
    assert {end for end in ends if isinstance(end, bytes)} == {parse_base64url(file["plaintext"])}


def make_reply_call(case: Mapping[str, Any], file: Mapping[str, Any]) -> Call:
    asked = {name: case.get(name, file[name]) for name in ("environment", "reference", "message_id")}
    key_set = {"environment": asked["environment"], "mailbox_keys": file["mailbox_keys"]}
    reader = {"keySet": key_set, "reference": asked["reference"], "messageId": asked["message_id"]}
    return ["verifyReply", raw(case["statement"]), {**reader, "now": at(case.get("now", file["now"]))}]


# The page asked for a reference and an id in their one spelling: any other is of another message. And the unknown field
# does not stand in its place either.
OTHER_REASONS = {
    "a reference of the other environment inside": "wrong-reference",
    "a reference in small letters inside": "wrong-reference",
    "an id that is no UUIDv7": "wrong-reference",
    "a field that is not known": "not-canonical",
}


def test_replies_of_the_vectors_open_and_are_refused(script: Script) -> None:
    file = FILES["reply"]
    sealed = [case for case in file["cases"] if "envelope" in case and is_bytes(case)]
    signed = [case for case in file["cases"] if "statement" in case]
    assert (len(sealed), len(signed)) == (17, 30)
    contexts = [
        reply_context(**{name: case.get(name, file[name]) for name in ("environment", "reference", "message_id")})
        for case in sealed
    ]
    opened = script.call(
        *(
            ["open", raw(case["envelope"]), raw(case.get("seed", file["seed"])), msgspec.to_builtins(context)]
            for case, context in zip(sealed, contexts, strict=True)
        )
    )
    assert outcomes(opened) == words_for(sealed)
    inside = [{"statement": to_base64url(end)} for end in opened if isinstance(end, bytes)]
    ends = script.call(*(make_reply_call(case, file) for case in [*inside, *signed]))
    assert ends[: len(inside)] == [file["message"]] * 2
    ends = ends[len(inside) :]
    said = dict(zip((case["name"] for case in signed), outcomes(ends), strict=True))
    assert said == {case["name"]: case["expect"] for case in signed} | OTHER_REASONS
    messages = [case["message"] for case in signed if case["expect"] == "success"]
    assert [end for end in ends if not isinstance(end, str)] == [{**file["message"], **one} for one in messages]


def test_places_of_the_vectors_open_and_are_refused(script: Script) -> None:
    file = FILES["place"]
    cases = [case for case in file["cases"] if "envelope" in case]
    assert len(cases) == 14
    contexts = [
        place_context(**{name: case.get(name, file[name]) for name in ("environment", "reference")}) for case in cases
    ]
    ends = script.call(
        *(
            ["open", raw(case["envelope"]), raw(case.get("seed", file["seed"])), msgspec.to_builtins(context)]
            for case, context in zip(cases, contexts, strict=True)
        )
    )
    assert outcomes(ends) == words_for(cases)
    assert {end for end in ends if isinstance(end, bytes)} == {encode(file["place"])}


# A phone keeps nothing: it follows no change of root, and compares with no key set of before. And it tells a wrong
# spelling of JSON from what is none, also in a key set.
OTHER_ENDS = {
    "a line break at the end": "not-canonical",
    "the next root, signed by both": "wrong-root",
    "the next root, signed by itself alone": "wrong-root",
    "the next root, signed in the wrong order": "wrong-root",
    "an older serial": "success",
    "the same serial, other bytes": "success",
}


def test_key_sets_of_the_vectors_are_believed_and_refused(script: Script) -> None:
    file = FILES["key-set"]
    pinned = {"rootFingerprint": file["pin"]["root_fingerprint"], "environment": file["pin"]["environment"]}
    calls = [
        [
            "verifyKeySet",
            raw(case["bundle"]),
            {**pinned, "now": at(case.get("now", file["now"])), "allowExpired": case.get("allow_expired", False)},
        ]
        for case in file["cases"]
    ]
    (followed,) = [case for case in file["cases"] if case["name"] == "the next root, signed by both"]
    next_root = {**pinned, "rootFingerprint": file["pin"]["next_root_fingerprint"], "now": at(file["now"])}
    ends = script.call(*calls, ["verifyKeySet", raw(followed["bundle"]), next_root])
    expected = [OTHER_ENDS.get(case["name"], case["expect"]) for case in file["cases"]]
    # In this chain a key is named by its place: another one's signature is a bad one to the vectors.
    assert [one.replace("unknown-key", "bad-signature") for one in outcomes(ends)] == [*expected, "success"]


def test_no_byte_of_a_key_set_can_be_flipped(script: Script) -> None:
    file = FILES["key-set"]
    bundle = parse_base64url(file["cases"][0]["bundle"])
    pinned = {"rootFingerprint": file["pin"]["root_fingerprint"], "environment": "live", "now": at(file["now"])}
    places = range(0, len(bundle), 17)
    assert len(places) > 200
    ends = script.call(*(["verifyKeySet", raw(flip(bundle, place)), pinned] for place in places))
    assert "success" not in outcomes(ends)
    assert {"bad-signature", "malformed"} <= set(ends)
    statements = (None, [], {}, {"payload": "bnVsbA", "payloadType": "", "signatures": []})  # null inside
    bundles = [b"", b"null", b"[]", *(encode(dict.fromkeys(json.loads(bundle), one)) for one in statements)]
    ends = script.call(*(["verifyKeySet", raw(one), pinned] for one in bundles))
    assert ends == ["malformed"] * len(bundles)


def flip(whole: bytes, place: int) -> bytes:
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def open_box(box: bytes, *, seed: str, context: SealContext) -> bytes:
    """Open a box as the desk does."""
    envelope = Envelope.parse(box)
    private_key = load_xwing_private_key(parse_base64url(seed))
    padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
    return unpad(padded, purpose=context.purpose, sender=context.sender)


CLEAR = ClearFields(
    earlier_reference=None,
    environment="live",
    evidence_ids=(),
    kind="initial",
    partner="public",
    priority="P2",
    report_id="019ab9f0-0000-7000-8000-000000000001",
    schema_version="1",
    way="phone",
)
REPORT = report_context(CLEAR)
REPLY = reply_context(environment="live", reference="K7QF-2M9TX-D", message_id=CLEAR.report_id)
# The length of a text, and the size of its box without header, key and tag; none where it is too long.
LENGTHS = (
    *((REPORT, length, 65_536) for length in (0, 1, 4092, 65_532)),
    *((REPLY, length, size) for length, size in ((0, 4096), (4092, 4096), (4093, 8192), (16_380, 16_384))),
    (REPORT, 65_533, None),
    (REPLY, 16_381, None),
)


def test_whatever_is_sealed_here_python_opens_and_each_box_is_new(script: Script) -> None:
    file = FILES["envelope"]
    key = {"key_id": file["key_id"], "public_key": file["public_key"]}
    texts = [bytes([length % 251]) * length for _, length, _ in LENGTHS]
    calls = [
        ["seal", raw(text), key, msgspec.to_builtins(context)]
        for text, (context, _, _) in zip(texts, LENGTHS, strict=True)
    ]
    ends, again = script.call(*calls), script.call(calls[0])
    for text, end, (context, _, size) in zip(texts, ends, LENGTHS, strict=True):
        if size is None:
            assert end == "too-large"
        else:
            assert len(end) == 15 + 1120 + size + 16
            assert open_box(end, seed=file["seed"], context=context) == text
    assert again[0] != ends[0]


def test_key_that_is_not_what_it_claims_seals_nothing(script: Script) -> None:
    file, other = FILES["envelope"], FILES["reply"]["reply_key"]
    flipped = to_base64url(flip(parse_base64url(file["public_key"]), 700))
    keys = [
        (file["key_id"], other),
        (file["key_id"], flipped),
        (file["key_id"], "AAAA"),
        (file["key_id"], "="),
        ("", other),
    ]
    context = msgspec.to_builtins(REPORT)
    ends = script.call(
        *(["seal", raw(b"[message]"), {"key_id": key_id, "public_key": key}, context] for key_id, key in keys)
    )
    assert ends == ["bad-key"] * len(keys)


def test_whatever_python_sealed_opens_here_and_not_with_a_flipped_byte(script: Script) -> None:
    file = FILES["envelope"]
    named = {"not_before": "", "seal_until": "", "open_until": "", "state": "active"}
    key = SealingKey(
        key_id=file["key_id"], public_key=file["public_key"], suite="MLKEM768-X25519-HKDF-SHA256-AES-256-GCM", **named
    )
    sealed = [(context, b"x" * n, seal(b"x" * n, key=key, context=context)) for context, n, size in LENGTHS if size]
    ends = script.call(
        *(["open", raw(box.to_bytes()), raw(file["seed"]), msgspec.to_builtins(one)] for one, _, box in sealed)
    )
    assert ends == [text for _, text, _ in sealed]
    box = sealed[4][2].to_bytes()
    # Version, key id, suite, both halves of the encapsulated key, the text and its tag.
    places = [0, 1, 8, 9, 14, 15, 1102, 1103, 1134, 1135, 3000, len(box) - 17, len(box) - 16, len(box) - 1]
    context = msgspec.to_builtins(REPLY)
    ends = script.call(*(["open", raw(flip(box, place)), raw(file["seed"]), context] for place in places))
    assert ends == ["unknown-version", "wrong-key", "wrong-key", "unknown-suite", "unknown-suite", *["wrong-key"] * 9]


@dataclass(frozen=True)
class Stored:
    """A report that the form took, with what the gateway says of it and of its keys."""

    envelope: bytes
    receipt: bytes
    bundle: bytes
    fingerprint: str

    def list_calls(self, *receipts: bytes, **changed: Any) -> list[Call]:
        """List the calls that check the keys, and then receipts by them."""
        facts = SIGNED_INTAKE.peek(self.receipt)
        sent = {"clear": msgspec.to_builtins(facts.clear), "envelope": raw(self.envelope), "reference": facts.reference}
        asked = {"keySet": result(0, "keySet"), **sent, "now": at("2026-11-25T09:00:00Z"), **changed}
        pinned = {"rootFingerprint": self.fingerprint, "environment": "live", "now": at("2026-11-25T09:00:00Z")}
        keys = ["verifyKeySet", raw(self.bundle), pinned]
        return [keys, *(["verifyReceipt", raw(receipt), asked] for receipt in receipts)]


@pytest.fixture(scope="module")
def stored(served: tuple[PublicServer, str]) -> Stored:
    server, _ = served
    server.public.person(origin=server.url).start().walk_to("/14").send()
    ((envelope, receipt),) = server.house.query("SELECT envelope, intake FROM reports")
    partner = Partner()
    bundle = server.house.open_industry(partner).get("/v1/keys").data
    return Stored(envelope, receipt, bundle, server.house.agency.pin().root_fingerprint)


def test_receipt_of_the_public_door_is_believed_for_its_box_alone(script: Script, stored: Stored) -> None:
    facts = SIGNED_INTAKE.peek(stored.receipt)
    (keys, first) = script.call(*stored.list_calls(stored.receipt))
    agency = script.server.house.agency
    assert keys["sealingKey"] == json.loads(encode(agency.sealing_key))
    assert first == json.loads(encode(facts))
    assert first["envelope_sha256"] == hashlib.sha256(stored.envelope).hexdigest()
    clear = msgspec.to_builtins(facts.clear)
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"envelope": raw(flip(stored.envelope, 2000))}, "receipt-mismatch"),
        ({"reference": "K7QF-2M9TX-D"}, "receipt-mismatch"),
        ({"clear": {**clear, "priority": "P1" if clear["priority"] != "P1" else "P3"}}, "receipt-mismatch"),
        ({"clear": {**clear, "report_id": CLEAR.report_id}}, "receipt-mismatch"),
        ({"clear": {**clear, "environment": "sandbox"}}, "wrong-environment"),
        ({"now": at("2099-01-01T00:00:00Z")}, "unknown-key"),
    )
    for change, reason in changes:
        assert script.call(*stored.list_calls(stored.receipt, **change))[1] == reason, change


def test_receipt_that_another_key_signed_or_of_another_door_is_refused(script: Script, stored: Stored) -> None:
    facts = SIGNED_INTAKE.peek(stored.receipt)
    house = script.server.house
    own, strange = (load_signing_key(key) for key in (house.receipt_key, house.agency.key(KeyRole.MAILBOX_SIGNING)))
    replace: Callable[..., Any] = msgspec.structs.replace
    receipts = {
        "unknown-key": SIGNED_INTAKE.sign(facts, strange),
        "bad-signature": SIGNED_INTAKE.sign(facts, strange, key_id=house.receipt_key.key_id),
        "receipt-mismatch": SIGNED_INTAKE.sign(replace(facts, door="industry"), own),
        "wrong-environment": SIGNED_INTAKE.sign(replace(facts, environment="sandbox"), own),
        "wrong-kind": stored.receipt.replace(b"report-abuse.intake", b"report-abuse.mailbox"),
        "malformed": stored.receipt[:-1],
        "not-canonical": stored.receipt + b"\n",
    }
    before = SIGNED_INTAKE.sign(replace(facts, received_at="2019-11-25T08:30:00Z"), own)
    ends = script.call(*stored.list_calls(*receipts.values(), before))
    assert ends[1:] == [*receipts, "unknown-key"]
