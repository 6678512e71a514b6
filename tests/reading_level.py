"""How hard a text is for a child: sentences, words, syllables and the grade. Nothing here is a test.

The grade is textstat's (0.7.4: works offline and reads digits), with the names of bodies masked.
"""

import re

import textstat

MOST_WORDS_IN_A_SENTENCE = 15
HIGHEST_GRADE = 4.0
PROSE_WORDS = 30
BANNED = (
    *("please", "sorry", "valid", "invalid", "forbidden", "illegal", "oops", "you forgot", "victim", "abuse"),
    *("need not", "whom", "shall"),  # words that a child of nine does not say
)
BODIES = (
    "Childline",
    "NSPCC",
    "IWF",
    "Crimestoppers",
    "Fearless",
    "Report Remove",
    "Report Harmful Content",
    "Revenge Porn Helpline",
    "StopNCII",
    "Stop It Now",
    "CEOP Education",
    "Samaritans",
    "Find A Helpline",
    "Shout",
    "Relay UK",
    "ICO",
    "BSL",
)


def mask(text: str) -> str:
    """Put a short name in the place of each body and placeholder."""
    for body in BODIES:
        text = re.sub(rf"\b{body}\b", "Bob", text)
    return re.sub(r"\{\w+\}", "Bob", text)


def sentences_of(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.?!:])\s+", mask(text)) if re.search(r"\w", part)]


def words_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z']*|\d+", text)


def count_syllables(word: str) -> int:
    """Count vowel groups, without a silent e; numbers count one, as a child reads them on a dial."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    if not plain:
        return 1
    groups = len(re.findall(r"[aeiouy]+", plain))
    if plain.endswith("e") and not plain.endswith(("le", "ee")) and groups > 1:
        groups -= 1
    if plain.endswith(("ed", "es")) and not plain.endswith(("ted", "ded", "ses", "ches", "shes")) and groups > 1:
        groups -= 1
    return max(groups, 1)


def find_long_words(text: str) -> set[str]:
    """Return the words of three or more syllables."""
    return {word.lower() for word in words_of(mask(text)) if count_syllables(word) >= 3}


def find_banned(text: str) -> list[str]:
    return [word for word in BANNED if re.search(rf"\b{word}\b", text, re.IGNORECASE)]


def grade_of(text: str) -> float:
    """Return the Flesch-Kincaid grade (Kincaid et al. 1975)."""
    return float(textstat.flesch_kincaid_grade(mask(text)))
