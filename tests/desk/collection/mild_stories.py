"""Two hundred mild, synthetic stories, and how many of them the phrases of the desk raise by mistake.

`python -m tests.desk.collection.mild_stories` prints the figure of docs/queue.md. Each story is one
of a child with a mild tick, e.g. for gifts: it holds no harm, but words that a phrase could trip over.
"""

import sys
from collections.abc import Iterator
from typing import Final

from gateway.guidance.risk import assess_public, is_danger_today, list_found_in_words
from tests.public_report_builders import make_public_report

ENGLISH: Final = (
    (
        "Someone I don't know started to talk to me in a game.",
        "A person on Other Chat keeps sending me free coins.",
        "He says he is 14 but I think he is older.",
        "She wanted to know which school I go to.",
        "My friend got a strange message from someone we met in a game.",
        "I play with a person who gives me skins.",
        "Somebody asked me to keep our chats a secret.",
        "A man in the comments said that I look nice.",
        "I think my account was found by someone I do not know.",
        "They asked me to talk on another app.",
        "There is a boy online who says that he is a model scout.",
        "A girl I never met asked for my number.",
        "This person likes all my old photos.",
        "My little brother plays with someone much older.",
        "Somebody pretends to be a singer and writes to fans.",
        "I joined a group and a man there was too friendly.",
        "He asked me if I have a boyfriend.",
        "Someone sends me hearts every day.",
        "I got a gift card from a stranger.",
        "It is about a person in my team chat.",
    ),
    (
        "He did not touch me and we never met.",
        "I was at home with my mum when he wrote.",
        "We laughed so much that I could have died.",
        "He wants to meet up some day, maybe in the summer.",
        "I told my dad and he said I should tell you.",
        "I don't want to get anyone in trouble.",
        "He sent me a picture of his dog.",
        "My friend said 'I want to die laughing' when she saw it.",
        "My mum will kill me when she sees the phone bill.",
        "I fell off my bike and hurt my knee, so I was online a lot.",
        "We talked about films and about a book where someone dies.",
        "She never asked me for pictures.",
        "He hit me up on another app the next day.",
        "I said no and he stopped.",
        "He wrote that he lives far away, in another country.",
        "I have to be home by ten and he knew that.",
        "He said we should keep in touch.",
        "My sister and I share a room and she saw it too.",
        "I had a match tonight so I did not answer.",
        "He was dying to know my real name.",
        "The teacher makes us do a lesson about this.",
        "We meet our cousins on Saturday, so I can ask them.",
        "It is not still going on, I left the game.",
        "Nobody has hurt me.",
        'In the film we saw, a man says "I will find you".',
    ),
    (
        "I blocked him.",
        "Is that normal?",
        "I just wanted to tell someone.",
        "It made me feel a bit odd.",
        "I am all right, but I want you to know.",
        "My mum is at work now, and she knows.",
        "Can you look at it?",
        "I have not answered since last week.",
        "He has not written again.",
        "Thank you for reading this.",
    ),
)
WELSH: Final = (
    (
        "Mae rhywun dydw i ddim yn ei nabod yn siarad â fi mewn gêm.",
        "Mae dyn yn y sgwrs yn rhoi anrhegion i fi.",
        "Gofynnodd rhywun i fi gadw cyfrinach.",
        "Mae'n dweud ei fod yn 14 ond dw i'n meddwl ei fod yn hŷn.",
        "Cafodd fy ffrind neges ryfedd.",
    ),
    (
        "Wnaeth e ddim cyffwrdd â fi.",
        "Roeddwn i gartref gyda Mam.",
        "Mae eisiau cwrdd rywbryd, efallai yn yr haf.",
        "Bues i bron â marw o chwerthin.",
        "Anfonodd lun o'i gi.",
    ),
    ("Dw i wedi ei flocio.", "Ydy hynny'n iawn?"),
)


def list_stories() -> Iterator[str]:
    """Yield the stories: 150 in English and 50 in Welsh, all different."""
    for number in range(150):
        yield _tell(ENGLISH, number)
    for number in range(50):
        yield _tell(WELSH, number)


def _tell(parts: tuple[tuple[str, ...], ...], number: int) -> str:
    first, second, last = parts
    turn = number // len(first)
    return " ".join(
        (first[number % len(first)], second[(number + turn) % len(second)], last[(number // len(second)) % len(last)])
    )


def count_false_alarms() -> tuple[int, int, int, int]:
    """Return how many stories there are, have a phrase, come into the lane by it, and have a phrase of danger today."""
    stories = list(list_stories())
    found = [codes for story in stories if (codes := list_found_in_words(story))]
    answers = {"kinds": ("extra_nice",), "age_band": "13_15", "under_18": "yes", "who": "me", "danger": "no"}
    report = make_public_report(**answers)
    raised = sum(assess_public(report, in_words=codes).crisis for codes in found)
    return len(stories), len(found), raised, sum(is_danger_today(" ".join(codes)) for codes in found)


def describe() -> str:
    """Return the figure as docs/queue.md has it."""
    stories, found, raised, today = count_false_alarms()
    return (
        f"Of {stories} mild stories, a phrase is found in {found} and brings {raised} into the crisis lane; "
        f"{today} speak of danger today"
    )


if __name__ == "__main__":
    sys.stdout.write(describe() + "\n")
