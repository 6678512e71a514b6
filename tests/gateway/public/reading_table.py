"""How hard each page of the form is for a child, in every voice: the table of docs/reading-age.md. No tests here.

Renew the table after a change of words: `python -m tests.gateway.public.reading_table`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.guidance.advice import AUDIENCES, KINDS, list_fitting_advice, load_advice
from gateway.public.wording import Wording, find_in_voice, load_wording, make_voice
from tests.reading_level import PROSE_WORDS, grade_of, sentences_of, words_of

TABLE = Path(__file__).parents[3] / "docs" / "reading-age.md"
COMMAND = "python -m tests.gateway.public.reading_table"
# Who types, and whom it is about: all voices in which a page can speak.
VOICES: Mapping[str, Mapping[str, list[str]]] = {
    f"{person}, {about}": {"age": [age], "who": [about]}
    for person, age in (("child", "13_15"), ("adult", "18_plus"))
    for about in ("me", "friend", "another_child", "child_i_look_after", "child_i_work_with")
} | {
    "child, abroad": {"age": ["13_15"], "who": ["me"], "region": ["not_uk"]},
    "child, near": {"age": ["13_15"], "who": ["me"], "near": ["yes"]},
}
NO_WORDS = {"key", "side", "only_here", "version", "language"}  # what stands in the files and is never read by a person
ENDINGS = ("_abroad", "_near", "_friend", "_other", "_parent", "_work", "_self", "_adult")
BARE_LABEL_WORDS = 3  # on a bare label the formula says nothing

SHOWN = 6
HEAD = f"""# Reading age

Made by `{COMMAND}` and held by `tests/gateway/public/test_wording.py`: do not edit by hand.

English, Flesch-Kincaid grade as textstat 0.7.4 counts it, with the names of bodies masked. The bar is grade 4 on
prose of {PROSE_WORDS} words or more, and 15 words for the longest sentence everywhere. A dash: too few words for the
formula to say anything. The hardest {SHOWN} of {{pages}} pages, each in its hardest voice; the test holds all of them.

| Page | Hardest voice | Words | Longest sentence | Grade |
|---|---|---:|---:|---:|
"""


@dataclass(frozen=True)
class Page:
    """All that a person reads on one page, in one voice."""

    name: str
    voice: str
    texts: tuple[str, ...]

    @property
    def prose(self) -> str:
        """The texts as sentences, without bare labels."""
        told = [text for text in self.texts if len(words_of(text)) > BARE_LABEL_WORDS]
        return " ".join(text if text.endswith((".", "?", "!")) else f"{text}." for text in told)

    @property
    def longest(self) -> int:
        """The words of the longest sentence."""
        return max(len(words_of(sentence)) for text in self.texts for sentence in sentences_of(text))

    @property
    def words(self) -> int:
        """The words of the prose."""
        return len(words_of(self.prose))

    @property
    def grade(self) -> float | None:
        """The grade; None where there is too little prose."""
        return grade_of(self.prose) if self.words >= PROSE_WORDS else None

    @property
    def difficulty(self) -> tuple[float, int]:
        """The order of the table: by grade, and by the longest sentence where there is none."""
        return (-99.0 if self.grade is None else self.grade, self.longest)


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text of a part of the wording with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in NO_WORDS:
                yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path)


def list_pages(wording: Wording) -> list[Page]:
    """List every page of the form in each voice in which its text differs."""
    pages: list[Page] = []
    for part in ("screen", "page"):
        for name, words in sorted(wording.table[part].items()):
            seen = set()
            for voice, answers in VOICES.items():
                texts = tuple(text for _, text in walk(_speak(words, make_voice(answers))))
                if texts not in seen:
                    seen.add(texts)
                    pages.append(Page(name, voice if part == "screen" else "", texts))
    return pages


def list_advice(language: str) -> list[Page]:
    """List the advice for each kind and each reader; readers with the same advice are listed once."""
    library = load_advice(language)
    pages: list[Page] = []
    for kind in KINDS:
        for audience in AUDIENCES:
            found = list_fitting_advice(library, kinds=[kind], age_band="13_15", audience=audience, limit=99)
            texts = tuple(
                sentence
                for advice in found
                for sentence in (*advice.sentences, *advice.sentences_abroad, *(advice.sentences_near or ()))
            )
            if not any((page.voice, page.texts) == (audience, texts) for page in pages):
                pages.append(Page(f"advice: {kind}", audience, texts))
    return pages


def make_table(language: str = "en") -> str:
    """Make the whole document."""
    hardest: dict[str, Page] = {}
    for page in [*list_pages(load_wording(language)), *list_advice(language)]:
        known = hardest.get(page.name)
        if known is None or page.difficulty > known.difficulty:
            hardest[page.name] = page
    shown = sorted(hardest.values(), key=lambda page: page.difficulty, reverse=True)[:SHOWN]
    return HEAD.format(pages=len(hardest)) + "".join(
        f"| {page.name} | {page.voice} | {page.words} | {page.longest} | "
        f"{'–' if page.grade is None else format(page.grade, '.1f')} |\n"
        for page in shown
    )


def _speak(words: Mapping[str, Any], voice: tuple[str, ...]) -> dict[str, Any]:
    """Keep the words of a screen in this voice; options are looked up one by one, as the form does."""
    spoken: dict[str, Any] = {}
    for key in words:
        plain = next((key.removesuffix(ending) for ending in ENDINGS if key.endswith(ending)), key)
        if plain == "field":
            spoken[plain] = {name: _speak(field, voice) for name, field in words[key].items()}
        elif plain == "options":
            spoken[plain] = {
                code: next(
                    words[f"options{ending}"][code] for ending in voice if code in words.get(f"options{ending}", {})
                )
                for code in words["options"]
            }
        elif plain not in spoken:
            found = find_in_voice(words, plain, voice=voice)
            spoken |= {} if found is None else {plain: found}
    return spoken


if __name__ == "__main__":
    TABLE.write_text(make_table(), encoding="utf-8")
