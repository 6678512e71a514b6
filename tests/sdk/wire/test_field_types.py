import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.industry import mailbox_schema, report_schema
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    KeyId,
    PartnerId,
    Reference,
    ReportId,
    Sha256Hex,
    WireTime,
    base64url_of,
    check_reference,
    check_report_id,
    convert,
    parse_base64url,
    parse_time,
)
from partner_sdk.wire.submission import check_partner_id

PROJECT = Path(__file__).parents[3]


def list_patterns() -> dict[str, str]:
    """Return every pattern that decoding holds, with the struct and field or the name of the type it is of."""
    found = {}
    for file in sorted((*PROJECT.glob("partner_sdk/**/*.py"), *PROJECT.glob("gateway/**/*.py"))):
        text = file.read_text("utf-8")
        if "pattern=" not in text or "msgspec" not in text:
            continue
        module = import_module(".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"))
        names = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        hints = {name: hint for name, hint in vars(module).items() if get_origin(hint) is Annotated}
        for name in names:
            for field, hint in get_type_hints(getattr(module, name), include_extras=True).items():
                hints[f"{name}.{field}"] = hint
        for name, hint in hints.items():
            for pattern in find_patterns(hint):
                found.setdefault(pattern, f"{module.__name__}.{name}")
    return {name: pattern for pattern, name in found.items()}


def find_patterns(hint: Any) -> list[str]:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    inner = [pattern for part in get_args(hint) for pattern in find_patterns(part)]
    return [meta.pattern for meta in metas if meta.pattern is not None] + inner


PATTERNS = list_patterns()


def takes_line_ends(pattern: str) -> bool:
    """Return whether a pattern means to take line ends: a text of several lines."""
    return re.search(pattern, "a\nb") is not None and re.search(pattern, "\n") is not None


def test_patterns_are_found():
    assert {r"^[0-9a-f]{64}\Z", r"^[a-z0-9_-]*\Z"} <= set(PATTERNS.values())


@pytest.mark.parametrize("name", sorted(name for name, pattern in PATTERNS.items() if not takes_line_ends(pattern)))
@given(data=st.data())
@settings(max_examples=5)
def test_newline_behind_a_text_is_refused(name: str, data: st.DataObject):
    """Python's `$` also matches before a newline at the end."""
    pattern = PATTERNS[name]
    text = data.draw(st.from_regex(pattern).filter(lambda text: not text.endswith("\n")))

    with pytest.raises(msgspec.ValidationError):
        convert(text + "\n", kind=Annotated[str, msgspec.Meta(pattern=pattern)])


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (WireTime, parse_time),
        (ReportId, check_report_id),
        (PartnerId, check_partner_id),
        (KeyId, parse_base64url),
        (Annotated[str, base64url_of("A key.", "UEsFBg")], parse_base64url),
        (Reference, check_reference),
        (Sha256Hex, lambda text: convert(text, kind=Sha256Hex)),
    ],
)
def test_parser_refuses_a_newline_behind_the_example(kind: Any, check: Callable[[str], object]):
    (example,) = msgspec.json.schema(kind)["examples"]
    check(example)

    with pytest.raises((FormatError, msgspec.ValidationError)):
        check(example + "\n")


@pytest.mark.parametrize("schema", [report_schema(), mailbox_schema()])
def test_published_patterns_are_those_of_json_schema(schema: dict[str, Any]):
    """ECMA-262, which JSON Schema follows, has no `\\Z`."""
    text = msgspec.json.encode(schema)

    assert b"pattern" in text
    assert rb"\\Z" not in text
