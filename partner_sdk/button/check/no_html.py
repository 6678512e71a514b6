"""Says what a file is that holds no button because it is no page at all: empty, a picture, JSON, plain text.

Asked only about a file in which no button was found, so that an odd page with a button is never called no page.
"""

import codecs
import json
import re
from pathlib import PurePath
from typing import Final

# What the first bytes of a page never hold: the binary data bytes of the web's own sniffing (mimesniff §3).
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SNIFFED_BYTES: Final = 1445
# A beginning or an end of an element, a comment or a doctype; `<https://chat.example>` of Markdown is none.
_TAG: Final = re.compile(rb"</?[a-z][a-z0-9-]*(?:\s|/?>)|<!--|<!doctype", re.IGNORECASE)
_PAGE: Final = re.compile(rb"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKDOWN: Final = frozenset({".md", ".markdown"})


def describe_no_html(raw: bytes, *, name: str) -> str | None:
    """Return what the file called `name` is, to follow its name in a sentence, or None where it may be a page."""
    if not raw.removeprefix(codecs.BOM_UTF8).strip():
        return "is empty"
    # In UTF-16 each second byte is a zero, and a browser reads it as a page all the same.
    if raw.startswith(_MARKS) or _PAGE.search(raw):
        return None
    if _BINARY.search(raw[:_SNIFFED_BYTES]):
        return "is no HTML: it holds bytes that are no text"
    if _is_json(raw):
        return "is no HTML: it is JSON"
    if PurePath(name).suffix.lower() in _MARKDOWN:
        return "is no HTML: by its name it is Markdown"
    return None if _TAG.search(raw) else "is no HTML: it holds no element"


def _is_json(raw: bytes) -> bool:
    if not raw.lstrip().startswith((b"{", b"[", b'"')):
        return False
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
