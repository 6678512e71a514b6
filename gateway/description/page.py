"""The description as a web page: every call of the document, laid out for reading, without scripts.

Adds nothing to the document.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import render_template

from gateway.description.document import Schema, resolve
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.signature_profile import content_digest

METHODS: Final = ("get", "put", "post", "delete")
# Deep enough for every model of the wire; also ends the recursion of a model that contains itself.
DEEPEST: Final = 6
_TYPES = {"array": "list", "boolean": "true or false", "integer": "whole number", "null": "null", "object": "object"}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: its path, its type, and whether it is required."""

    name: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The fields of one object."""

    title: str
    rows: tuple[FieldRow, ...]


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One successful answer."""

    status: str
    text: str
    media_type: str
    tables: tuple[FieldTable, ...]


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One refusal, and the caller's next step."""

    status: str
    slug: str
    title: str
    advice: str


@dataclass(frozen=True, slots=True)
class CallSection:
    """One call, ready to render."""

    anchor: str
    method: str
    path: str
    summary: str
    purpose: str
    caller: str
    limits: tuple[str, ...]
    body_limit: str
    media_type: str
    signed_headers: tuple[tuple[str, str], ...]
    path_rows: tuple[FieldRow, ...]
    tables: tuple[FieldTable, ...]
    example: str
    command: str
    answers: tuple[AnswerRow, ...]
    problems: tuple[ProblemRow, ...]


@dataclass(frozen=True, slots=True)
class CallGroup:
    """A group of calls with one heading."""

    name: str
    calls: tuple[CallSection, ...]


def render_page(document: Document, *, files_path: str) -> str:
    """Return the HTML of the page; its style sheet and icon are below `files_path`."""
    sections = list(_list_sections(document))
    groups = tuple(
        CallGroup(name=tag["name"], calls=tuple(section for name, section in sections if name == tag["name"]))
        for tag in document["tags"]
    )
    return render_template(
        "description/docs.html",
        about=document["info"]["description"],
        files_path=files_path,
        environment=document["servers"][0]["description"],
        groups=groups,
        origin=document["servers"][0]["url"],
        signature_text=document["components"]["securitySchemes"]["signature"]["description"],
        title=document["info"]["title"],
    )


def _list_sections(document: Document) -> Iterator[tuple[str, CallSection]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield methods[method]["tags"][0], _make_section(document, path=path, method=method)


def _make_section(document: Document, *, path: str, method: str) -> CallSection:
    operation = document["paths"][path][method]
    components = document["components"]["schemas"]
    media_type, media = next(iter(operation.get("requestBody", {"content": {"": {}}})["content"].items()))
    example = encode(media["example"]).decode("utf-8") if "example" in media else ""
    headers = _list_headers(operation, media_type=media_type, example=example)
    return CallSection(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        purpose=operation["description"],
        caller=operation["x-caller"],
        limits=tuple(
            f"{limit['quota']:,} in {limit['window_seconds']:,} seconds for each {limit['counts']} ({limit['name']})"
            for limit in operation["x-limits"]
        ),
        body_limit=f"{operation['x-body-bytes']:,} bytes" if "x-body-bytes" in operation else "",
        media_type=media_type,
        signed_headers=tuple(headers.items()),
        path_rows=tuple(
            FieldRow(one["name"], *describe_schema(one["schema"], components))
            for one in operation["parameters"]
            if one["in"] != "header"
        ),
        tables=tuple(_list_body_tables(operation, media.get("schema", {}), components)),
        example=example,
        command=_make_command(document, method=method.upper(), path=path, headers=headers, media_type=media_type),
        answers=tuple(_list_answers(operation, components)),
        problems=tuple(_list_problems(operation, document["components"]["examples"])),
    )


def _list_headers(operation: dict[str, Any], *, media_type: str, example: str) -> dict[str, str]:
    """Return the headers of a signed call with example values; empty for an unsigned call."""
    found = {one["name"]: one["example"] for one in operation["parameters"] if one["in"] == "header"}
    if not found:
        return {}
    if "Content-Digest" in found:
        found = {"Content-Type": media_type, **found, "Content-Digest": content_digest(example.encode())}
    return {**found, "Signature": "sig1=:SIGNATURE:"}


def _make_command(document: Document, *, method: str, path: str, headers: dict[str, str], media_type: str) -> str:
    sent = {"Content-Type": media_type, **headers} if media_type else headers
    lines = [f"curl --request {method} '{document['servers'][0]['url']}{path}'"]
    lines += [f"  --header '{name}: {value}'" for name, value in sent.items()]
    if media_type:
        lines.append("  --data-binary @body")
    return " \\\n".join(lines)


def _list_body_tables(operation: dict[str, Any], schema: Schema, components: dict[str, Schema]) -> Iterator[FieldTable]:
    rows = tuple(_list_rows(schema, components)) if schema else ()
    if rows:
        yield FieldTable("Body", rows)
    for name, inside in operation.get("x-signed", {}).items():
        yield FieldTable(f"The JSON inside {name}", tuple(_list_rows(inside, components)))


def _list_answers(operation: dict[str, Any], components: dict[str, Schema]) -> Iterator[AnswerRow]:
    for status, answer in operation["responses"].items():
        media_type, media = next(iter(answer.get("content", {"": {}}).items()))
        if media_type == problems.MEDIA_TYPE:
            continue
        rows = tuple(_list_rows(media.get("schema", {}), components))
        tables = [FieldTable("Fields", rows)] if rows else []
        tables += [
            FieldTable(f"The JSON inside {name}", tuple(_list_rows(inside, components)))
            for name, inside in answer.get("x-signed", {}).items()
        ]
        yield AnswerRow(status, answer["description"], media_type, tuple(tables))


def _list_problems(operation: dict[str, Any], examples: dict[str, Any]) -> Iterator[ProblemRow]:
    for status, answer in operation["responses"].items():
        refused = answer.get("content", {}).get(problems.MEDIA_TYPE, {}).get("examples", {})
        for slug in refused:
            yield ProblemRow(status, slug, examples[slug]["summary"], examples[slug]["description"])


def _list_rows(
    schema: Schema, components: dict[str, Schema], *, before: str = "", depth: int = 0
) -> Iterator[FieldRow]:
    """Yield every field of an object, including nested ones, by path, e.g. `statement.signatures[].sig`."""
    found = resolve(schema, components)
    for name, field in found.get("properties", {}).items():
        place = f"{before}{name}"
        yield FieldRow(place, *describe_schema(field, components))
        inside, mark = find_object(field, components)
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
