"""Describes the calls below `/v1` from the views and the wire models: OpenAPI 3.1 for machines, a page for people.

A view declares its purpose, body and answers beside its rule (`describe`). Login, limits and body size come from the
rule. A schema adds no limit that the model does not have, and the page nothing to the document.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from itertools import groupby
from typing import Any, Final, TypeVar

import msgspec
from flask import Flask, render_template

from gateway.exchange.request_signatures import MAX_AGE_SECONDS, MAX_SKEW_SECONDS
from gateway.limits import LimitRow
from gateway.web.rules import SAFE_METHODS, Login, RouteRule, find_rule
from gateway.web.rules import make_document as make_problem_document
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import NOT_A_REPORT, PROBLEMS, Problem
from partner_sdk.wire.signing import COVERED_WITH_BODY, COVERED_WITHOUT_BODY, TAG, content_digest

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json"

_ATTRIBUTE = "described_call"
# A variable part of a path in Flask's syntax: `<report_id>`, `<int:part>`.
_VARIABLE = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


class UndescribedCallError(Exception):
    """A view has no description."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `kind` is a model of the wire, `dict` for any object, None for no body.

    `signed` is the model of the JSON inside the `payload` of a signed statement.
    With `may_name_a_wait` it may carry `Retry-After`.
    """

    status: HTTPStatus
    meaning: str
    kind: Any = None
    media_type: str = JSON
    signed: type | None = None
    has_tag: bool = False
    may_name_a_wait: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `body` is a model of the wire, or `bytes` for a raw file.

    `signed` maps each signed field of the body to the model of its payload. `path` maps each variable part of the path
    to its type, and `query` each optional name of the query. `problems` are specific to this call; those that follow
    from the rule are added.
    """

    group: str
    summary: str
    purpose: str
    answers: tuple[Answer, ...]
    body: Any = None
    signed: Mapping[str, type] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    may_be_signed: bool = False


def describe(call: Call) -> Callable[[View], View]:
    """Attach a description to a view; put it below its rule."""

    def state(view: View) -> View:
        setattr(view, _ATTRIBUTE, call)
        return view

    return state


def get_call(view: Callable[..., Any]) -> Call:
    """Return a view's description; raises `UndescribedCallError`."""
    call = getattr(view, _ATTRIBUTE, None)
    if not isinstance(call, Call):
        raise UndescribedCallError(
            f"{getattr(view, '__name__', view)} has no description: decorate it with `describe`."
        )
    return call


@dataclass(frozen=True, slots=True)
class DescribedCall:
    """One method of one path. `path` uses OpenAPI syntax, e.g. `/v1/reports/{report_id}`."""

    method: str
    path: str
    operation_id: str
    rule: RouteRule
    call: Call
    limits: tuple[LimitRow, ...]

    @property
    def takes_body(self) -> bool:
        """Whether the call has a body."""
        return self.method not in SAFE_METHODS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem that the call may answer, in the order of the table."""
        found = {*self.call.problems, problems.MALFORMED_REQUEST, problems.INTERNAL_ERROR, problems.STORAGE_UNAVAILABLE}
        if self.takes_body:
            found |= {problems.BODY_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE}
            if self.call.body is not bytes:
                found.add(problems.NOT_CANONICAL)
        else:
            found.add(problems.BODY_NOT_ALLOWED)
        if self.rule.login is Login.PARTNER or self.call.may_be_signed:
            found |= {problems.NOT_AUTHORISED, problems.NOT_READY, problems.UNSUPPORTED_MEDIA_TYPE}
        if self.limits:
            found.add(problems.RATE_LIMITED)
        if self.call.path:
            found.add(problems.NOT_FOUND)
        return tuple(problem for problem in problems.PROBLEMS if problem in found)


def list_calls(app: Flask, *, prefix: str, limits: Mapping[str, LimitRow]) -> tuple[DescribedCall, ...]:
    """Return every call below a prefix; raises `UndescribedCallError` for a view without a description."""
    found = []
    for route in app.url_map.iter_rules():
        if not route.rule.startswith(f"{prefix}/"):
            continue
        stated = find_rule(app, route.endpoint)
        if stated is None:
            # An app with such a route does not start (`finish_web_app`).
            raise KeyError(route.endpoint)
        found += [
            DescribedCall(
                method=method,
                path=_VARIABLE.sub(r"{\1}", route.rule),
                operation_id=route.endpoint.rpartition(".")[2],
                rule=stated,
                call=get_call(app.view_functions[route.endpoint]),
                limits=tuple(limits[name] for name in stated.limits if name in limits),
            )
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})
        ]
    return tuple(found)


REFERENCE: Final = "#/components/schemas/"
PROBLEM: Final = "Problem"

Schema = dict[str, Any]


def make_schemas(kinds: Iterable[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """Return the schema of each kind, and the components they refer to."""
    asked = [kind for kind in dict.fromkeys(kinds) if kind is not None and kind is not bytes]
    schemas, components = msgspec.json.schema_components(asked, ref_template=f"{REFERENCE}{{name}}")
    own = {kind: format_patterns(schema) for kind, schema in zip(asked, schemas, strict=True)}
    # OpenAPI 3.1 §4.8.14.3: a raw body has a media type and an empty schema.
    return {**own, bytes: {}}, {name: format_patterns(schema) for name, schema in components.items()}


def make_problem_schema(*, origin: str) -> Schema:
    """Return the schema of a problem document (RFC 9457)."""
    return {
        "title": PROBLEM,
        "description": "A problem and its fix. The type `about:blank` adds nothing to the status.",
        "type": "object",
        "properties": {
            "type": {
                "description": "The type of the problem; the URL shows a page about it.",
                "enum": ["about:blank", *(f"{origin}/problems/{problem.slug}" for problem in PROBLEMS)],
            },
            "title": {"description": "The same for every problem of this type.", "type": "string"},
            "status": {"description": "The HTTP status.", "type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"description": "Your next step. Absent for errors of the gateway.", "type": "string"},
            "instance": {
                "description": "The request id; quote it when you contact the agency.",
                "type": "string",
                "pattern": "^urn:uuid:[0-9a-f-]{36}$",
            },
            "errors": {
                "description": "The faulty fields.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {"description": "A JSON pointer as a URI fragment.", "type": "string"},
                        "detail": {"type": "string"},
                    },
                    "required": ["pointer", "detail"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["type", "title", "status", "instance"],
        "additionalProperties": False,
    }


def resolve(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """Return the schema that a `$ref` points to, or the schema itself."""
    while "$ref" in schema:
        schema = components[schema["$ref"].removeprefix(REFERENCE)]
    return schema


@cache
def read_examples() -> Mapping[str, Any]:
    """Return an example of each JSON body by operationId; `make vectors` writes them with the vectors of the calls."""
    examples: dict[str, Any] = json.loads(files(__package__).joinpath("examples.json").read_bytes())
    return examples


OPENAPI_VERSION: Final = "3.1.1"
WIRE_VERSION: Final = "1"
# Answers of the server before a view is reached, without a problem of the table (RFC 9457 §4.2.1).
BLANK_STATUSES: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.LENGTH_REQUIRED)
EXAMPLE_REQUEST_ID: Final = "6f1c2d1e-8f0b-4b6f-9a53-0c8f3d1b7a42"

_ABOUT = (
    "Online services report online child sexual exploitation to one agency here. Reports are sealed to the agency's "
    "key before they are sent, so this gateway cannot read them. The specification is WIRE.md in the source of the "
    "partner SDK; this document describes the calls and is generated from their code."
)
_EXAMPLE_CREATED: Final = 1795595400
_EXAMPLE_KEY_ID: Final = "q3Hn0Lm7mZc"
_EXAMPLE_NONCE: Final = "cGxhaW4gYW5kIG5ldw"
SIGNATURE_SCHEME: Final[dict[str, Any]] = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": (
        "HTTP Message Signatures (RFC 9421) with Ed25519, in the profile of WIRE.md §7: label sig1, the parameters "
        f'created, keyid, alg, nonce and tag="{TAG}" in this order; at most {MAX_AGE_SECONDS} s old and at most '
        f"{MAX_SKEW_SECONDS} s ahead. Sign with the partner's submission key, as listed in the agency's register."
    ),
}


def make_document(calls: Sequence[DescribedCall], *, origin: str, environment: str) -> dict[str, Any]:
    """Return the document; callers sign `origin`, and `environment` appears in the server's description."""
    schemas, components = make_schemas(_list_kinds(calls))
    components[PROBLEM] = make_problem_schema(origin=origin)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _make_operation(
            call, schemas=schemas, components=components
        )
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "Report Abuse: the industry door", "version": WIRE_VERSION, "description": _ABOUT},
        "servers": [
            {"url": origin, "description": "live" if environment == "live" else f"{environment}: {NOT_A_REPORT}"}
        ],
        "tags": [{"name": name} for name in dict.fromkeys(call.call.group for call in calls)],
        "paths": paths,
        "components": {
            "schemas": components,
            "headers": ANSWER_HEADERS,
            "examples": {
                problem.slug: _make_example_of(problem, origin=origin)
                for problem in problems.PROBLEMS
                if any(problem in call.problems for call in calls)
            },
            "securitySchemes": {"signature": SIGNATURE_SCHEME},
        },
    }


def _list_kinds(calls: Sequence[DescribedCall]) -> list[Any]:
    kinds: list[Any] = []
    for call in calls:
        kinds += [call.call.body, *call.call.signed.values(), *call.call.path.values(), *call.call.query.values()]
        for answer in call.call.answers:
            kinds += [answer.kind, answer.signed]
    return kinds


def _make_operation(
    described: DescribedCall, *, schemas: dict[Any, Schema], components: dict[str, Schema]
) -> dict[str, Any]:
    call, rule = described.call, described.rule
    operation: dict[str, Any] = {
        "operationId": described.operation_id,
        "tags": [call.group],
        "summary": call.summary,
        "description": call.purpose,
        "security": _list_security(described),
        "parameters": [
            *_list_path(described, schemas),
            *({"name": name, "in": "query", "schema": schemas[kind]} for name, kind in call.query.items()),
            *list_signed_headers(described),
        ],
        "responses": {},
        "x-caller": _name_caller(described),
        "x-limits": [
            {
                "name": row.name,
                "quota": row.quota,
                "window_seconds": row.window_seconds,
                "counts": row.subject.name.lower(),
            }
            for row in described.limits
        ],
    }
    if described.takes_body:
        schema = schemas[call.body]
        media: dict[str, Any] = {"schema": schema}
        if schema:
            media["example"] = read_examples()[described.operation_id]
        operation["requestBody"] = {"required": True, "content": {rule.body_media_type: media}}
        operation["x-body-bytes"] = rule.body_bytes
        operation["x-signed"] = {f"{name}.payload": schemas[kind] for name, kind in call.signed.items()}
    for answer in call.answers:
        operation["responses"][str(answer.status.value)] = _make_answer(described, answer, schemas)
    operation["responses"] |= _make_refusals(described)
    return operation


def _list_security(described: DescribedCall) -> list[dict[str, list[str]]]:
    if described.rule.login is Login.PARTNER:
        return [{"signature": []}]
    return [{}, {"signature": []}] if described.call.may_be_signed else []


def _name_caller(described: DescribedCall) -> str:
    return (
        f"{described.rule.login.value}; may be signed" if described.call.may_be_signed else described.rule.login.value
    )


def _list_path(described: DescribedCall, schemas: dict[Any, Schema]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas[kind]}
        for name, kind in described.call.path.items()
    ]


def _make_answer(described: DescribedCall, answer: Answer, schemas: dict[Any, Schema]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": answer.meaning, "headers": _refer_to("X-Request-Id")}
    if described.limits:
        made["headers"] |= _refer_to("RateLimit", "RateLimit-Policy")
    if answer.has_tag:
        made["headers"] |= _refer_to("ETag")
    if answer.may_name_a_wait:
        made["headers"] |= _refer_to("Retry-After")
    if answer.kind is not None:
        schema = {"type": "string"} if answer.kind is str else schemas[answer.kind]
        made["content"] = {answer.media_type: {"schema": schema}}
    if answer.signed is not None:
        made["x-signed"] = {"payload": schemas[answer.signed]}
    return made


def _make_refusals(described: DescribedCall) -> dict[str, Any]:
    refusals = {
        str(status): _make_refusal(list(same), is_counted=bool(described.limits))
        for status, same in groupby(sorted(described.problems, key=_status_of), key=_status_of)
    }
    blank = [status for status in BLANK_STATUSES if described.takes_body]
    return refusals | {
        str(status.value): {
            "description": f"{status.phrase}: the body arrived incomplete, or without a Content-Length.",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": f"{REFERENCE}{PROBLEM}"}}},
        }
        for status in blank
    }


def _make_refusal(same: list[Problem], *, is_counted: bool) -> dict[str, Any]:
    headers = _refer_to("X-Request-Id")
    if is_counted:
        headers |= _refer_to("RateLimit-Policy")
    if any(problem.retry_after_seconds is not None for problem in same):
        headers |= _refer_to("Retry-After")
    return {
        "description": ". ".join(problem.title for problem in same),
        "headers": headers,
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": f"{REFERENCE}{PROBLEM}"},
                "examples": {problem.slug: {"$ref": f"#/components/examples/{problem.slug}"} for problem in same},
            }
        },
    }


def _make_example_of(problem: Problem, *, origin: str) -> dict[str, Any]:
    document = make_problem_document(problem, origin=origin, request_id=EXAMPLE_REQUEST_ID)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        document.pop("detail")
    return {"summary": problem.title, "description": problem.advice, "value": document}


def _refer_to(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _status_of(problem: Problem) -> int:
    return problem.status


def _header(text: str, **schema: Any) -> dict[str, Any]:
    return {"description": text, "schema": schema}


ANSWER_HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": _header("The id of this request.", type="string", format="uuid"),
    "ETag": _header("Identifies these bytes; send it in If-None-Match.", type="string"),
    "Retry-After": _header("Seconds to wait before you retry the same request.", type="integer", minimum=1),
    "RateLimit-Policy": _header("Each limit: q requests in w seconds.", type="string"),
    "RateLimit": _header("Remaining quota: r requests in the next t seconds.", type="string"),
}


def make_signature_input(*, has_body: bool) -> str:
    """Return an example of the `Signature-Input` header."""
    covered = " ".join(f'"{name}"' for name in (COVERED_WITH_BODY if has_body else COVERED_WITHOUT_BODY))
    return (
        f'sig1=({covered});created={_EXAMPLE_CREATED};keyid="{_EXAMPLE_KEY_ID}"'
        f';alg="ed25519";nonce="{_EXAMPLE_NONCE}";tag="{TAG}"'
    )


def list_signed_headers(described: DescribedCall) -> list[dict[str, Any]]:
    """Return the headers of a signed request, except `Content-Type` (of the body) and `Signature` (of the scheme)."""
    is_signed = described.rule.login is Login.PARTNER
    if not is_signed and not described.call.may_be_signed:
        return []
    has_body = described.takes_body
    found = [
        _parameter(
            "Signature-Input",
            "The covered components, the time of signing, and the key id.",
            example=make_signature_input(has_body=has_body),
            is_needed=is_signed,
        )
    ]
    if has_body:
        found.append(
            _parameter(
                "Content-Digest",
                "The SHA-256 of the body (RFC 9530).",
                example=content_digest(b"{}"),
                is_needed=True,
            )
        )
    return found


def _parameter(name: str, text: str, *, example: str, is_needed: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": is_needed,
        "description": text,
        "schema": {"type": "string"},
        "example": example,
    }


# Deep enough for every model of the wire; also ends the recursion of a model that contains itself.
DEEPEST: Final = 6
_TYPES = {"array": "list", "boolean": "true or false", "integer": "whole number", "null": "null", "object": "object"}

Document = dict[str, Any]
# A field as the page shows it: its path, its type with its limits, and its description.
FieldRow = tuple[str, str, str]


def render_page(document: Document, *, files_path: str) -> str:
    """Return the HTML of the page; its style sheet and icon are below `files_path`."""
    components = document["components"]["schemas"]
    return render_template(
        "description/docs.html",
        calls=[
            (path, method.upper(), operation, *_read_body(operation))
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
        document=document,
        files_path=files_path,
        list_rows=lambda schema: list(_list_rows(schema, components)),
        describe=lambda schema: describe_schema(schema, components),
        problem_type=problems.MEDIA_TYPE,
    )


def _read_body(operation: dict[str, Any]) -> tuple[str, Schema, str, dict[str, str]]:
    """Return the media type, schema and example of a body, and the headers of the call with example values."""
    media_type, media = next(iter(operation.get("requestBody", {"content": {"": {}}})["content"].items()))
    example = encode(media["example"]).decode("utf-8") if "example" in media else ""
    found = {one["name"]: one["example"] for one in operation["parameters"] if one["in"] == "header"}
    if "Content-Digest" in found:
        found["Content-Digest"] = content_digest(example.encode())
    if found:
        found["Signature"] = "sig1=:SIGNATURE:"
    headers = {"Content-Type": media_type, **found} if media_type else found
    return media_type, media.get("schema", {}), example, headers


def _list_rows(
    schema: Schema, components: dict[str, Schema], *, before: str = "", depth: int = 0
) -> Iterator[FieldRow]:
    """Yield every field of an object, including nested ones, by path, e.g. `statement.signatures[].sig`."""
    found = resolve(schema, components)
    for name, described in found.get("properties", {}).items():
        place = f"{before}{name}"
        yield (place, *describe_schema(described, components))
        inside, mark = find_object(described, components)
        if inside is not None and depth < DEEPEST:
            yield from _list_rows(inside, components, before=f"{place}{mark}.", depth=depth + 1)


def find_object(schema: Schema, components: dict[str, Schema]) -> tuple[Schema | None, str]:
    """Return the object in a field, and `[]` if it is a list of them; None for a plain value."""
    found = resolve(schema, components)
    for option in found.get("anyOf", ()):
        inside, mark = find_object(option, components)
        if inside is not None:
            return inside, mark
    if found.get("type") == "array":
        inside, mark = find_object(found["items"], components)
        return inside, f"[]{mark}"
    return (found, "") if "properties" in found else (None, "")


def format_document(document: Document) -> bytes:
    """Return the document as JSON with its keys in the order in which it was made, for human readers."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def describe_schema(schema: Schema, components: dict[str, Schema]) -> tuple[str, str]:
    """Return the type with its limits, and the description of a field."""
    found = resolve(schema, components)
    if "anyOf" in found:
        parts = [describe_schema(option, components) for option in found["anyOf"]]
        spoken = (found.get("description"), *(text for _kind, text in parts))
        return " or ".join(kind for kind, _text in parts), next((str(text) for text in spoken if text), "")
    text = schema.get("description") or found.get("description") or ""
    return ", ".join(_list_type_parts(found)), str(text)


def _list_type_parts(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        values = [str(value) for value in schema["enum"]]
        yield f"always {values[0]}" if len(values) == 1 else f"one of {', '.join(values)}"
        return
    kind = schema.get("type", "any value")
    encoding = schema.get("contentEncoding")
    yield f"text ({encoding})" if encoding else _TYPES.get(kind, "text" if kind == "string" else kind)
    if schema.get("minLength") is not None and schema.get("minLength") == schema.get("maxLength"):
        yield f"exactly {schema['maxLength']:,} characters"
    elif "maxLength" in schema:
        yield f"at most {schema['maxLength']:,} characters"
    if "minimum" in schema:
        yield f"from {schema['minimum']:,}"
    if "maximum" in schema:
        yield f"to {schema['maximum']:,}"
    elif "exclusiveMaximum" in schema:
        yield f"below {schema['exclusiveMaximum']:,}"
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']:,}"


def format_patterns(schema: Any) -> Any:
    """Return a JSON Schema with ECMA-262's end of the text in its patterns: `$`, which is Python's `\\Z`."""
    if isinstance(schema, dict):
        return {
            name: one.removesuffix(r"\Z") + "$"
            if name == "pattern" and isinstance(one, str) and one.endswith(r"\Z")
            else format_patterns(one)
            for name, one in schema.items()
        }
    return [format_patterns(one) for one in schema] if isinstance(schema, list) else schema
