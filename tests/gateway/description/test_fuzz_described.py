"""Requests made from the description, that fit it and that do not: every answer is one that the description names.

Schemathesis makes them from `/v1/openapi.json`; they are signed with a real key, and sent with made-up signatures too.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import given
from schemathesis import GenerationMode

from gateway.description import get_call, list_calls
from gateway.industry import ROUTES
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import MEDIA_TYPE
from tests.gateway.industry.fuzzing import FuzzedHouse, check_answer, fuzz, open_fuzzed_house
from tests.gateway.industry.partner_calls import PartnerCall, send_call

EXAMPLES = 8
NAMES = [view.__name__ for _method, _path, view in ROUTES]
# These have nothing that could be wrong: no body, no part of the path, no header.
NOTHING_TO_BREAK = {
    "get_status",
    "get_keys",
    "get_schema",
    "get_mailbox_schema",
    "get_openapi",
    "get_docs",
    "get_mailbox",
}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> FuzzedHouse:
    folder: Path = tmp_path_factory.mktemp("described")
    return open_fuzzed_house(folder)


@pytest.fixture(scope="module")
def schema(fuzzed: FuzzedHouse) -> Any:
    return schemathesis.openapi.from_dict(fuzzed.nobody.get("/v1/openapi.json").json)


def find_operation(schema: Any, name: str) -> Any:
    (found,) = [one.ok() for one in schema.get_all_operations() if one.ok().definition.raw["operationId"] == name]
    return found


def as_bytes(body: Any, *, is_file: bool) -> bytes:
    """Return a client's bytes for a made-up value: canonical JSON, or bytes as they are."""
    if isinstance(body, bytes):
        return body
    if is_file:
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return encode(body)
    except (FormatError, TypeError, msgspec.ValidationError):
        return repr(body).encode("utf-8", "surrogatepass")


def run(name: str, mode: GenerationMode, *, fuzzed: FuzzedHouse, schema: Any) -> list[int]:
    """Send made-up requests to one call; return the statuses."""
    operation = find_operation(schema, name)
    (described,) = [
        one
        for one in list_calls(fuzzed.app, prefix="/v1", limits=fuzzed.gateway.limits.rows)
        if one.operation_id == name
    ]
    allowed = {problem.slug for problem in described.problems}
    statuses: list[int] = []
    kept = fuzzed.read_kept()

    @fuzz(EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal kept
        body = None
        if described.takes_body:
            body = as_bytes(case.body, is_file=described.call.body is bytes)
        call = PartnerCall(described.method, case.formatted_path, body, described.rule.body_media_type)
        for door, headers in ((fuzzed.door, {}), (fuzzed.nobody, printable(case.headers))):
            fuzzed.forget_counts()
            answer = send_call(door, call, **headers)
            is_good = check_answer(answer.status_code, dict(answer.headers), answer.data, allowed=None)
            if "%" not in case.formatted_path and "//" not in case.formatted_path:
                check_named(described, answer, allowed=allowed)
            before, kept = kept, fuzzed.read_kept()  # nothing else happens between one request and the next
            assert is_good or kept == before
            statuses.append(answer.status_code)

    send()
    assert len(statuses) >= 2
    return statuses


def check_named(described: Any, answer: Any, *, allowed: set[str]) -> None:
    """Fail unless an answer is one that the description names, and fits the model that it names."""
    if answer.status_code >= 400:
        if answer.content_type == MEDIA_TYPE:
            check_answer(answer.status_code, dict(answer.headers), answer.data, allowed=allowed)
        return
    (named,) = [one for one in described.call.answers if one.status == answer.status_code]
    if named.kind not in (None, str, dict):
        msgspec.json.decode(answer.data, type=named.kind)


def printable(headers: Any) -> dict[str, str]:
    """Return made-up headers that can be sent at all: no line ends, Latin-1 alone."""
    found = {str(name): str(value) for name, value in (headers or {}).items()}
    return {
        name: value
        for name, value in found.items()
        if name.isascii()
        and name.replace("-", "").isalnum()
        and not {"\r", "\n", "\0"} & set(value)
        and all(ord(one) < 256 for one in value)
        and name.lower() not in {"content-length", "transfer-encoding", "host", "content-type"}
    }


@pytest.mark.parametrize("name", NAMES)
def test_request_that_fits_the_description_gets_an_answer_that_it_names(name: str, fuzzed: FuzzedHouse, schema: Any):
    run(name, GenerationMode.POSITIVE, fuzzed=fuzzed, schema=schema)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOTHING_TO_BREAK])
def test_request_that_does_not_fit_the_description_is_a_problem_of_the_table(
    name: str, fuzzed: FuzzedHouse, schema: Any
):
    statuses = run(name, GenerationMode.NEGATIVE, fuzzed=fuzzed, schema=schema)

    assert any(status >= 400 for status in statuses)


def test_calls_with_nothing_to_break_have_neither_body_nor_path():
    calls = {view.__name__: get_call(view) for _method, _path, view in ROUTES}

    assert all(calls[name].body is None and not calls[name].path for name in NOTHING_TO_BREAK)
