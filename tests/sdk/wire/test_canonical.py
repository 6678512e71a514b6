"""One spelling for every value: parsing and printing round-trip, and a mismatch is explained in our own words."""

import base64
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    check_report_id,
    encode,
    format_time,
    make_report_id,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model with two fields."""

    b: int
    a: str


def reason_of(raw: bytes, *, max_bytes: int = 100) -> str:
    with pytest.raises(FormatError) as caught:
        parse_exact(raw, kind=Pair, max_bytes=max_bytes)
    return caught.value.reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"b":1,"a":"x"}', "not-canonical"),
        (b'{"a":"x", "b":1}', "not-canonical"),
        (b'{"a":"x","b":1}\n', "not-canonical"),
        (b'{"a":"y","a":"x","b":1}', "not-canonical"),
        (b'{"a":"\\u0078","b":1}', "not-canonical"),
        (b'{"a":"\\/","b":1}', "not-canonical"),
        (b'{"a":"x","b":1,"c":2}', "malformed"),
        (b'{"a":"x"}', "malformed"),
        (b'{"a":"x","b":1.5}', "malformed"),
        (b'{"a":"x","b":"1"}', "malformed"),
        (b'{"a":"\xff","b":1}', "malformed"),
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"\xef\xbb\xbf{}", "malformed"),
    ],
)
def test_other_spelling_is_refused(raw: bytes, reason: str) -> None:
    assert reason_of(raw) == reason


@pytest.mark.parametrize("number", [b"1.0", b"1e0", b"01", b"-0", b"1E2"])
def test_other_spelling_of_a_number_is_refused(number: bytes) -> None:
    assert reason_of(b'{"a":"x","b":' + number + b"}") in {"malformed", "not-canonical"}


def test_size_limit_is_exact() -> None:
    raw = b'{"a":"x","b":1}'
    assert parse_exact(raw, kind=Pair, max_bytes=len(raw))
    assert reason_of(raw, max_bytes=len(raw) - 1) == "too-large"


def test_deep_nesting_is_malformed_and_does_not_crash() -> None:
    assert reason_of(b"[" * 100_000, max_bytes=200_000) == "malformed"


def test_fault_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(FormatError) as caught:
        parse_exact(b'{"a":"x","b":"synthetic-marker"}', kind=Pair, max_bytes=100)
    assert "synthetic-marker" not in str(caught.value)


@given(st.text(), st.integers(-(2**53), 2**53))
def test_every_value_prints_back_identically(text: str, number: int) -> None:
    try:
        raw = encode(Pair(a=text, b=number))
    except FormatError:  # a lone surrogate has no UTF-8
        return
    assert encode(parse_exact(raw, kind=Pair, max_bytes=len(raw))) == raw


def test_half_a_surrogate_pair_is_not_written() -> None:
    with pytest.raises(FormatError):
        encode(Pair(a="\ud800", b=1))


@given(st.binary(max_size=80))
def test_any_bytes_give_a_value_or_a_format_error(raw: bytes) -> None:
    try:
        value = parse_exact(raw, kind=Pair, max_bytes=100)
    except FormatError:
        return
    assert encode(value) == raw


@given(st.binary(max_size=80))
def test_base64url_prints_back_identically(raw: bytes) -> None:
    assert parse_base64url(to_base64url(raw)) == raw


@given(st.text(max_size=40))
def test_any_text_is_base64url_or_a_format_error(text: str) -> None:
    try:
        raw = parse_base64url(text)
    except FormatError:
        return
    assert to_base64url(raw) == text


@pytest.mark.parametrize("text", ["AA==", "AB", "A", "A+", "A/", "AA\n", "A A", "AÄ", "AA=", "AAA\x00"])
def test_other_spelling_of_base64url_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_base64url(text)


@pytest.mark.parametrize("before", ["", "AAAA", "-_9z"])
def test_only_what_prints_back_is_base64url_and_each_fault_keeps_its_reason(before: str) -> None:
    # Junk, padding and stray low bits at every place of a last group: the text before it is not encoded again.
    ends = itertools.chain.from_iterable(itertools.product("AQw9-_+/=\n\0É", repeat=count) for count in range(5))
    for text in (before + "".join(end) for end in ends):
        try:
            found: bytes | str = parse_base64url(text)
        except FormatError as error:
            found = error.reason
        assert found == read_by_printing_back(text), text


def read_by_printing_back(text: str) -> bytes | str:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return "malformed"
    return raw if to_base64url(raw) == text else "not-canonical"


def test_length_and_size_of_base64url_are_exact() -> None:
    assert parse_base64url("AAAA", length=3, max_bytes=3) == bytes(3)
    for settings in ({"length": 4}, {"length": 2}, {"max_bytes": 2}):
        with pytest.raises(FormatError):
            parse_base64url("AAAA", **settings)


@given(st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - Hypothesis asks so
def test_time_prints_back_identically(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_time(format_time(moment)) == moment


def test_time_is_written_in_utc() -> None:
    assert format_time(datetime(2026, 11, 25, 9, 30, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-25T08:30:00Z"
    with pytest.raises(FormatError):
        format_time(datetime(2026, 11, 25))  # noqa: DTZ001 - the missing zone is what is tested


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T08:30:00+00:00",
        "2026-11-25T08:30:00.0Z",
        "2026-11-25 08:30:00Z",
        "2026-11-25T08:30:00z",
        "2026-11-25T24:00:00Z",
        "2026-02-29T08:30:00Z",
        "2026-11-25T08:30:60Z",
        "٢026-11-25T08:30:00Z",
        "",
    ],
)
def test_other_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_time(text)


@given(st.datetimes(min_value=datetime(1970, 1, 2)), st.binary(min_size=10, max_size=10))  # noqa: DTZ001 - as above
def test_report_id_is_a_uuid7_that_sorts_by_time(moment: datetime, random: bytes) -> None:
    moment = moment.replace(tzinfo=UTC)
    text = make_report_id(moment, random)
    check_report_id(text)
    assert int(text.replace("-", "")[:12], 16) == int(moment.timestamp() * 1000)


@pytest.mark.parametrize("size", [0, 9, 11])
def test_report_id_takes_ten_random_bytes(size: int) -> None:
    with pytest.raises(FormatError):
        make_report_id(NOW, bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01A211D3-7340-7FF3-B7D7-B412BE473E63",
        "01a211d3-7340-4ff3-b7d7-b412be473e63",
        "01a211d3-7340-7ff3-c7d7-b412be473e63",
        "01a211d373407ff3b7d7b412be473e63",
        "01a211d3-7340-7ff3-b7d7-b412be473e63\n",
        "../../etc/passwd",
    ],
)
def test_other_spelling_of_an_id_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        check_report_id(text)


MARKER = "Marker\x1b[2J"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row."""

    color: Literal["red", "blue"]
    size: Annotated[str, msgspec.Meta(pattern="^[a-z]$")] | None = None


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows, in a list and by name."""

    rows: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


def said_of(raw: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        parse_exact(raw, kind=Outer, max_bytes=10_000)
    assert caught.value.reason == "malformed"
    said = str(caught.value)
    assert said.isprintable()
    assert "Marker" not in said
    return said.removeprefix("The JSON does not match its model: ")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"rows":[{}]}', "Object missing required field `color` - at `$.rows[0]`"),
        (msgspec.json.encode({MARKER: 1}), "Object contains an unknown field"),
        (
            msgspec.json.encode({"rows": [{"color": "red", MARKER: 1}]}),
            "Object contains an unknown field - at `$.rows[0]`",
        ),
        (
            msgspec.json.encode({"Marker` - at `$.Marker": 1}),
            "Object contains an unknown field",
        ),
        (
            msgspec.json.encode({"named": {MARKER: {"color": MARKER}}}),
            "A value is not one of the allowed values - at `$.named[...].color`",
        ),
        (
            msgspec.json.encode({"rows": [{"color": "red", "size": MARKER}]}),
            "A value has the wrong type, length or pattern - at `$.rows[0].size`",
        ),
        (b'{"rows":1}', "A value has the wrong type, length or pattern - at `$.rows`"),
        (b'{"rows":', "it is cut off, nested too deeply, or not JSON in UTF-8"),
        (b'{"\xff":1}', "it is cut off, nested too deeply, or not JSON in UTF-8"),
    ],
)
def test_mismatch_is_told_in_our_own_words(raw: bytes, said: str) -> None:
    assert said_of(raw) == said


REPOSITORY = Path(__file__).parents[3]
# New types in each round, read first by three threads at once while another collects garbage.
ROUNDS = """
import gc, sys, threading, types
from partner_sdk.wire.canonical import decode
sys.setswitchinterval(1e-6)
SOURCE = '''
import msgspec
from typing import Annotated, Literal
Text = Annotated[str, msgspec.Meta(max_length=5)]
class Inner(msgspec.Struct, frozen=True, kw_only=True):
    x: Text | None = None
    y: tuple[Text, ...] = ()
class Outer(msgspec.Struct, frozen=True, kw_only=True):
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    kind: Literal["a", "b"] = "a"
'''
for number in range(60):
    module = types.ModuleType(f"round_{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    together = threading.Barrier(4)
    def read():
        together.wait()
        decode(b'{"inner":{"x":"a"},"many":[{}]}', kind=module.Outer)
    def collect():
        together.wait()
        for _ in range(20):
            gc.collect(0)
    threads = [threading.Thread(target=each) for each in (read, read, read, collect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
"""


def run_fresh(code: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=REPOSITORY)
    return done.returncode, done.stdout


def test_threads_that_read_a_type_first_do_not_crash() -> None:
    assert run_fresh(ROUNDS) == (0, "done\n")


# The first report of a process, sent by four threads of a service at once.
FIRST_REPORT = """
import sys, threading
from pathlib import Path
from partner_sdk.report import parse_report
sys.setswitchinterval(1e-6)
raw = Path("partner_sdk/examples/full-report.json").read_bytes()
together = threading.Barrier(4)
read = []
def parse():
    together.wait()
    read.append(parse_report(raw, priority="P1").category)
threads = [threading.Thread(target=parse) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(read))
"""


def test_four_threads_may_send_the_first_reports_of_a_process() -> None:
    # Without the lock three of four such processes ended with a segmentation fault.
    assert [run_fresh(FIRST_REPORT) for _ in range(3)] == [(0, "4\n")] * 3
