"""How hard a Welsh text is: its sentences, its words and its LIX; every text of a file with its place. No test here.

LIX (Björnsson 1968) counts words a sentence and words of more than six letters: unlike a syllable formula made for
English it works for Welsh, where `ll`, `dd` and `ch` are letters too, and so makes a word rather too long.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.reading_level import sentences_of

LONG_WORD_LETTERS = 6
ENDINGS = ("_adult", "_parent", "_work", "_self", "_friend", "_other")


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text with its place, such as `screen.start.points.2`; codes such as `key` and `side` as well."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from walk(inner, f"{path}.{number}")


def is_code(path: str) -> bool:
    """Return whether this is a code of the form, not a text for people."""
    return path.rpartition(".")[2] in {"key", "side", "version", "language"}


def drop_voice(path: str) -> str:
    """Return the place of the plain text that a text with the ending of a voice stands for; pages keep their names."""
    part, page, *keys = path.split(".")
    return ".".join([part, page, *(re.sub(f"({'|'.join(ENDINGS)})$", "", key) for key in keys)])


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][\w'’-]*|\d+", text)


def get_lix(text: str) -> float:
    """Return the LIX of a text."""
    sentences = sentences_of(text)
    words = [word for sentence in sentences for word in words_of(sentence)]
    long = [word for word in words if len(re.sub(r"\W", "", word)) > LONG_WORD_LETTERS]
    return len(words) / len(sentences) + 100 * len(long) / len(words)


def end_sentence(text: str) -> str:
    """Return a heading or an option as a sentence, so that it does not run on into the next text."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
