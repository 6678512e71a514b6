"""Any request, of anybody or signed by a partner, and any body or head: answered in order, kept whole or not at all."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from gateway.industry import ROUTES
from gateway.signed_request import check_path
from gateway.web.rules import REFUSED, RequestRefusedError
from gateway.web.wsgi_bridge import AmbiguousHeadersError, make_environ
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.signing import StatementKind, parse_statement, sign_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import PUBLIC_ORIGIN, make_clear_fields, sign_for_envelope, sign_request
from tests.gateway.industry.fuzzing import FuzzedHouse, check_answer, fuzz, open_fuzzed_house
from tests.gateway.industry.partner_calls import EVIDENCE_ID, PartnerCall, send_call

GET_LIKE = {"GET", "HEAD", "OPTIONS"}
METHODS = [*GET_LIKE, "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "POST2"]
PATHS = [path.replace("<", "").replace(">", "").encode() for _method, path, _view in ROUTES]
FILLED = [(method, re.sub("<[a-z]+_id>", EVIDENCE_ID, path)) for method, path, _view in ROUTES]
HEADER_NAMES = [
    b"accept",
    b"authorization",
    b"content-digest",
    b"content-encoding",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"if-none-match",
    b"origin",
    b"range",
    b"sec-fetch-site",
    b"signature",
    b"signature-input",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x_underscored",
]
CONTENT_TYPES = [
    b"application/json",
    b"application/json; charset=utf-7",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"text/plain",
    b"\xff",
    b"",
]
NASTY = [
    b"",
    b"{",
    b"null",
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b"1" * 100_000,
    b"-" * 1_000,
    b"1e999999",
    b"NaN",
    b"Infinity",
    b"\xef\xbb\xbf{}",
    b'"\\ud800"',
    b'{"\\u0000":"\\u0000"}',
    b'{"envelope":"","envelope":"","statement":{}}',
    b'{"envelope":"\xff\xfe","statement":{}}',
    b'{"envelope":"\\u0000","statement":{"payload":"","payloadType":"","signatures":[]}}',
    b'{"change_id":"\x00","envelope":""}',
    b'{"digest":"' + b"0" * 64 + b'","parts":99999999999999999999999999,"size_bytes":-1}',
    b'{"digest":"' + b"0" * 64 + b'","parts":1.0,"size_bytes":1e3}',
    b"\x00" * 1_000,
    bytes(range(256)),
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--",
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> FuzzedHouse:
    folder: Path = tmp_path_factory.mktemp("raw")
    return open_fuzzed_house(folder)


def make_scope(method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the head of a request as the server reads it."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "raw_path": path,
        "query_string": query,
        "client": ("192.0.2.7", 40000),
        "server": ("127.0.0.1", 8080),
        "headers": headers,
    }


def make_fuzzed_environ(
    method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[dict[str, Any], bool]:
    """Return the bridge's environ for the app, and whether it refuses the request by itself."""
    length = [(b"content-length", str(len(body)).encode())] if body else []
    try:
        environ = make_environ(make_scope(method, path, query, [*headers, *length]))
    except AmbiguousHeadersError as error:
        environ = error.environ
        environ.pop("CONTENT_LENGTH", None)
        environ[REFUSED] = 400
        return environ, True
    environ["wsgi.input"] = io.BytesIO(body)
    return environ, False


def ask_and_check(fuzzed: FuzzedHouse, environ: dict[str, Any]) -> int:
    """Send a request and check all that must hold for every one; return its status."""
    fuzzed.forget_counts()
    before = fuzzed.read_kept()
    answer = fuzzed.ask(environ)
    headers = {name.decode().title(): value.decode("latin-1") for name, value in answer.headers}
    is_v1 = environ["PATH_INFO"] == "/v1" or environ["PATH_INFO"].startswith("/v1/")
    if is_v1:
        is_good = check_answer(answer.status, headers, answer.body, is_head=environ["REQUEST_METHOD"] == "HEAD")
    else:
        assert answer.status < 500
        is_good = answer.status < 400
    assert is_good or fuzzed.read_kept() == before
    return answer.status


values = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"", b"*/*", b"gzip", b"chunked", b"bytes=0-1", b"\xff\x00"])
)
header_lists = st.lists(st.tuples(st.sampled_from(HEADER_NAMES), values), max_size=5)
segments = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"..", b".", b"", b"%00", b"%2f", b"%2e%2e", b"%ff", b"\xff", b"0", b"-1", b"99999999999999999999"]
    ),
)
paths = st.one_of(
    st.sampled_from(PATHS),
    st.builds(lambda path, tail: path + b"/" + tail, st.sampled_from(PATHS), segments),
    st.builds(lambda parts: b"/v1/" + b"/".join(parts), st.lists(segments, max_size=4)),
    st.builds(
        lambda path, old, new: path.replace(old, new),
        st.sampled_from(PATHS),
        st.sampled_from([b"report_id", b"message_id", b"evidence_id", b"part", b"v1"]),
        segments,
    ),
)
bodies = st.one_of(st.sampled_from(NASTY), st.binary(max_size=300))


@fuzz(130)
@given(method=st.sampled_from(METHODS), path=paths, query=st.binary(max_size=30), headers=header_lists, body=bodies)
def test_any_request_of_anybody_is_answered_in_order(
    method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes, fuzzed: FuzzedHouse
):
    environ, _ = make_fuzzed_environ(method, path, query, headers, b"" if method in GET_LIKE else body)

    ask_and_check(fuzzed, environ)


# Every second time one that is there, in the right way: the rest of the request is looked at.
calls = st.one_of(
    st.sampled_from([(method, path.replace("<part>", "1").encode()) for method, path in FILLED]),
    st.tuples(st.sampled_from(["GET", "POST", "PUT"]), paths),
)


@fuzz(130)
@given(
    call=calls,
    query=st.sampled_from([b"", b"a=b", b"limit=-1", b"after=99999999999999999999", b"\xff"]),
    content_type=st.sampled_from(CONTENT_TYPES[:1] * 8 + CONTENT_TYPES),
    headers=header_lists,
    body=bodies,
)
def test_any_request_that_a_partner_signed_is_answered_in_order(
    call: tuple[str, bytes],
    query: bytes,
    content_type: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    fuzzed: FuzzedHouse,
):
    """The signature is a real one over this very request: the code behind the check is reached."""
    method, path = call
    has_body = method != "GET"
    environ, is_refused = make_fuzzed_environ(method, path, query, [], body if has_body else b"")
    target = f"{PUBLIC_ORIGIN}{environ['PATH_INFO']}{'?' + environ['QUERY_STRING'] if query else ''}"
    if not target.isascii():
        target = PUBLIC_ORIGIN
    signed = sign_request(
        method,
        target,
        body=body if has_body else None,
        private_key=fuzzed.partner.submission_key,
        created=fuzzed.house.clock(),
        content_type=content_type.decode("latin-1") if content_type.isascii() else "x",
    )
    for name, value in signed.items():
        environ["CONTENT_TYPE" if name == "Content-Type" else f"HTTP_{name.upper().replace('-', '_')}"] = value
    for name, value in headers:
        if not name.startswith((b"signature", b"content", b"transfer")):
            environ[f"HTTP_{name.decode().upper().replace('-', '_')}"] = value.decode("latin-1")

    assert not is_refused
    ask_and_check(fuzzed, environ)


def tamper(body: bytes, place: float, kind: str, piece: bytes) -> bytes:
    """Change a good body at one place."""
    at = int(place * len(body))
    if kind == "cut":
        return body[:at]
    if kind == "insert":
        return body[:at] + piece + body[at:]
    if kind == "repeat":
        return body[:at] + body[max(0, at - 40) : at] + body[at:]
    if kind == "drop":
        return body[:at] + body[at + 1 + len(piece) :]
    return body[:at] + piece + body[at + len(piece) :]


@fuzz(80)
@given(
    name=st.sampled_from(["post_report", "post_account", "post_evidence_complete", "post_mailbox_ack", "post_enrol"]),
    place=st.floats(0, 1, exclude_max=True),
    near_end=st.booleans(),
    kind=st.sampled_from(["cut", "insert", "repeat", "drop", "replace"]),
    piece=st.one_of(
        st.binary(min_size=1, max_size=8), st.sampled_from([b'"', b"{", b"}", b",", b":", b"\\u0000", b" "])
    ),
)
def test_good_body_that_was_changed_anywhere_is_refused_and_changes_nothing(
    name: str,
    place: float,
    near_end: bool,
    kind: str,
    piece: bytes,
    fuzzed: FuzzedHouse,
):
    """Signed anew, so that only the body is wrong. The whole of a body is behind one good spelling."""
    call = fuzzed.calls[name]
    good = call.body or b""
    # The interesting end of a body: behind its envelope.
    start = 1 - min(1.0, 1_500 / len(good)) if near_end else 0.0
    changed = tamper(good, start + place * (1 - start), kind, piece)
    fuzzed.forget_counts()
    before = fuzzed.read_kept()

    door = fuzzed.nobody if name == "post_enrol" else fuzzed.door
    answer = send_call(door, PartnerCall(call.method, call.path, changed))

    is_good = check_answer(answer.status_code, dict(answer.headers), answer.data)
    if is_good:
        # The change left it as it was or only spelled it anew, or made another id of the partner's own, or another
        # box: good in itself. Without the bytes in the message: they are up to a megabyte.
        is_same = changed == good or json.loads(changed) == json.loads(good)
        assert is_same or name in {"post_account", "post_enrol"}, name
    else:
        assert fuzzed.read_kept() == before


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.text(max_size=30),
        st.sampled_from(["public", "agency", "P0", "2", "live", "sandbox", "\x00", "x" * 70, "K7QF-2M9TX-D"]),
    ),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.text(max_size=10), inside, max_size=3)),
    max_leaves=6,
)
CLEAR = ("earlier_reference", "environment", "evidence_ids", "kind", "partner", "priority", "report_id")


@fuzz(80)
@given(
    changed=st.dictionaries(
        st.sampled_from([*CLEAR, "schema_version", "created_at", "envelope_sha256", "more"]), json_values, max_size=3
    ),
    left_out=st.lists(st.sampled_from([*CLEAR, "created_at"]), max_size=1),
    kind=st.sampled_from([StatementKind.SUBMISSION] * 6 + list(StatementKind)),
    priority=st.sampled_from(["P1", "P2", "P3"]),
)
def test_statement_with_any_payload_that_the_partner_signed_is_taken_whole_or_refused(
    changed: dict[str, Any], left_out: list[str], kind: StatementKind, priority: str, fuzzed: FuzzedHouse
):
    """The partner's own key signs any payload: the gateway must not half keep an unreadable one."""
    envelope = make_envelope(fuzzed)
    payload = describe_clear(fuzzed, priority)
    payload |= {
        "created_at": "2026-11-25T08:30:00Z",
        "envelope_sha256": hashlib.sha256(envelope).hexdigest(),
        **changed,
    }
    for name in left_out:
        payload.pop(name, None)
    try:
        statement = sign_statement(payload, kind=kind, private_keys=(fuzzed.partner.submission_key,))
    except FormatError:  # half of a surrogate pair has no UTF-8 to sign
        return
    body = encode(ReportPost(envelope=to_base64url(envelope), statement=parse_statement(statement)))
    fuzzed.forget_counts()
    before = fuzzed.read_kept()

    answer = fuzzed.door.post("/v1/reports", body)

    is_good = check_answer(answer.status_code, dict(answer.headers), answer.data)
    after = fuzzed.read_kept()
    if not is_good:
        assert after == before
    elif answer.status_code == 201:
        assert len(after["reports"]) == len(before["reports"]) + 1


def describe_clear(fuzzed: FuzzedHouse, priority: str) -> dict[str, Any]:
    fields = make_clear_fields(fuzzed.partner.partner, priority=priority)
    return {name: getattr(fields, name) for name in fields.__struct_fields__}


def make_envelope(fuzzed: FuzzedHouse) -> bytes:
    """Return the envelope of the kept report: any box for the agency's key would do."""
    with fuzzed.gateway.store.read() as connection:
        return bytes(connection.exec_driver_sql("SELECT envelope FROM reports LIMIT 1").scalar_one())


@fuzz(50)
@given(
    start=st.integers(0, 40),
    keep=st.integers(0, 1300),
    piece=st.binary(max_size=30),
    ends=st.sampled_from([b"", b"\x00"]),
)
def test_any_envelope_that_the_partner_signed_is_taken_whole_or_refused(
    start: int, keep: int, piece: bytes, ends: bytes, fuzzed: FuzzedHouse
):
    good = make_envelope(fuzzed)
    envelope = (good[:start] + piece + good[start + len(piece) :])[: keep or None] + ends
    clear = make_clear_fields(fuzzed.partner.partner)
    statement = sign_for_envelope(clear, envelope, private_key=fuzzed.partner.submission_key)
    body = encode(ReportPost(envelope=to_base64url(envelope), statement=parse_statement(statement)))
    fuzzed.forget_counts()
    before = fuzzed.read_kept()

    answer = fuzzed.door.post("/v1/reports", body)

    is_good = check_answer(answer.status_code, dict(answer.headers), answer.data)
    assert is_good or fuzzed.read_kept() == before


@pytest.mark.parametrize("body", NASTY, ids=range(len(NASTY)))
def test_nasty_body_at_every_call_is_refused_and_changes_nothing(body: bytes, fuzzed: FuzzedHouse):
    before = fuzzed.read_kept()
    seen = 0
    for name, call in fuzzed.calls.items():
        if call.body is None:
            continue
        for door in (fuzzed.door, fuzzed.nobody):
            fuzzed.forget_counts()
            answer = send_call(door, PartnerCall(call.method, call.path, body, call.content_type))
            assert not check_answer(answer.status_code, dict(answer.headers), answer.data), name
            seen += 1
    assert seen >= 12
    assert fuzzed.read_kept() == before


@fuzz(100)
@given(
    path=st.binary(max_size=40).map(lambda tail: b"/v1/" + tail),
    query=st.binary(max_size=20),
    headers=st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.binary(max_size=20)), max_size=6),
)
def test_any_head_is_an_environ_whose_path_has_one_spelling_or_is_refused(
    path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]
):
    scope = {
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "raw_path": path,
        "query_string": query,
        "client": ("192.0.2.7", 1),
        "server": ("127.0.0.1", 1),
        "headers": headers,
    }
    try:
        environ = make_environ(scope)
    except AmbiguousHeadersError as error:
        environ = error.environ
    with Flask(__name__).request_context({**environ, "wsgi.errors": None}):
        try:
            check_path()
        except RequestRefusedError:
            return
    assert environ["PATH_INFO"].encode() == path
    assert set(path) <= set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")
