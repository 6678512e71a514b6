"""The parsers between the wire and the store: any value round-trips, or gives one of our errors."""

from typing import Any

import msgspec
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from gateway.description import get_call
from gateway.industry import ROUTES
from gateway.signed_request import check_path
from gateway.web.rules import RequestRefusedError
from gateway.web.wsgi_bridge import AmbiguousHeadersError, make_environ
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.submission import ReportPost, SubmissionStatement
from tests.gateway.industry.fuzzing import fuzz

MOST_BYTES = 100_000
BODIES = [get_call(view).body for _method, _path, view in ROUTES]
KINDS = [kind for kind in [*BODIES, SubmissionStatement] if kind is not None and kind is not bytes]

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["", "\x00", "P1", "live", "initial", "1", "2026-11-25T08:30:00Z", "0" * 64]),
)
anything = st.recursive(
    leaves,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.text(max_size=8), inside, max_size=3),
        st.fixed_dictionaries({"keyid": inside, "sig": inside}),
        st.fixed_dictionaries({"payload": inside, "payloadType": inside, "signatures": st.lists(inside, max_size=2)}),
    ),
    max_leaves=8,
)


def near_misses(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with the right names, or nearly, and any values."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    whole = st.fixed_dictionaries(dict.fromkeys(names, anything))
    part = st.dictionaries(st.sampled_from([*names, "more"]), anything)
    return st.one_of(whole, part)


def test_every_body_of_the_door_is_among_the_kinds():
    assert ReportPost in KINDS
    assert len(KINDS) >= 6


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_any_body_is_read_to_the_byte_or_refused(kind: type):
    seen = {"taken": 0, "refused": 0}

    @fuzz(50)
    @given(
        value=near_misses(kind), lead=st.sampled_from([b"", b" ", b"\xef\xbb\xbf"]), tail=st.sampled_from([b"", b"\n"])
    )
    def read(value: dict[str, Any], lead: bytes, tail: bytes) -> None:
        try:
            raw = lead + encode(value) + tail
        except FormatError:  # half of a surrogate pair has no UTF-8
            return
        try:
            made = parse_exact(raw, kind=kind, max_bytes=MOST_BYTES)
        except FormatError:
            seen["refused"] += 1
            return
        seen["taken"] += 1
        assert encode(made) == raw

    read()
    assert seen["refused"] > 0


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
