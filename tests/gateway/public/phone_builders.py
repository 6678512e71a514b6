"""Seals reports as the script on a person's phone does, from the facts of a visit."""

from itertools import chain
from random import Random
from typing import Any, Final

from msgspec import structs
from werkzeug.test import TestResponse

from gateway.exchange.public_report import PublicReport, encode_public_report, make_reply_key, place_context
from gateway.guidance.risk import list_phrases_of_today, load_phrases
from gateway.public.returning import ReturnPlace, derive_return_keys, hash_token, make_reply_public_key
from gateway.public.sending import make_public_report
from gateway.public.visit import Draft
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.sealing import SealingKey, seal
from partner_sdk.wire.submission import report_context
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.person import SHORT_ANSWERS, Person
from tests.gateway.public.walks import flatten

WORDS = "apple bread candle dream eagle"
PHRASES: Final = [*chain.from_iterable(list_phrases_of_today().values())]
# What stands around a phrase: whatever hides it, and letters and marks that two languages could read apart.
AROUND: Final = (
    *(*load_phrases().denied_by, *load_phrases().between, *load_phrases().told_in, *load_phrases().sayings),
    *(
        "and",
        "then",
        "the",
        "ŵyl",
        "naïve",
        "straße",
        "ΣΊΣΥΦΟΣ",
        "8.30",
        "8,5pm",
        "३.५",
        "snake_case",
        "²",
        "①",
        "🙂",
        "x\u200by",
    ),
    *(
        ".",
        "!",
        "?\r\n",
        "\n",
        ";",
        ",",
        ":",
        "(",
        ")",
        "–",
        "—",
        "…",
        "'",
        "‘",
        "’",
        "`",
        "´",
        '"',
        "“",
        "”",
        "„",
        "«",
        "»",
    ),
)
SPELLED: Final = {
    "e": "é",
    "a": "a\u0302",
    "o": "ö",
    "i": "İ",
    "s": "ſ",
    "t": "ｔ",
    "k": "\u212a",
    "n": "n\u034f",
    "m": "m\u00ad",
}


def make_said(random: Random) -> str:
    """Return a text around some of the phrases of the phone: whole ones, halves, denied, quoted, with odd letters."""
    pieces: list[str] = []
    for _ in range(random.randrange(1, 5)):
        pieces += random.choices(AROUND, k=random.choice((0, 1, 1, 2, 3)))
        words = [random.choice(one.split("/")) for one in random.choice(PHRASES).split()]
        gap = random.choices(("and", "at", "8.30", "we", '"', ",", "."), (8, 8, 4, 8, 1, 1, 1), k=random.randrange(7))
        pieces += chain.from_iterable(gap if one == "..." else [one] for one in words[: random.choice((9, 9, 9, 1))])
    said = " ".join(one.replace("*", random.choice(("", "ed"))) for one in pieces)
    for letter in random.sample([*SPELLED], random.choice((0, 0, 0, 1))):
        said = said.replace(letter, SPELLED[letter], random.randrange(3))
    if random.random() < 0.3:
        said = said.replace("nt ", random.choice(("n't ", "n’t ", "n ' t ")))
    return random.choice((str, str, str.upper, str.title, str.casefold))(said)


def post_json(person: Person, path: str, body: bytes, **headers: str) -> TestResponse:
    """Post bytes as the page's script does."""
    own = {"Content-Type": "application/json", "Origin": PUBLIC_ORIGIN}
    return person.client.post(
        path,
        base_url=PUBLIC_ORIGIN,
        data=body,
        headers=own | {name.replace("_", "-"): text for name, text in headers.items()},
    )


def ask_visit(person: Person) -> dict[str, Any]:
    """Ask for the facts of a visit."""
    answer = post_json(person, "/form/visit", b'{"language":"en"}')
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json
    return found


def name_phone(report: PublicReport) -> PublicReport:
    """Return a report of the plain way as the script makes it."""
    return structs.replace(report, clear=structs.replace(report.clear, way="phone"))


def make_report_of(visit: dict[str, Any], *, reply_key: str | None, **changes: Any) -> PublicReport:
    """Make the report of the shortest way, as `makeReport` of the script does."""
    draft = Draft(report_id=visit["report_id"], started_at=visit["now"], language="en")
    report = name_phone(make_public_report(draft, flatten(SHORT_ANSWERS), environment=visit["environment"]))
    given = {
        "copy_version": visit["copy_version"],
        "placement": visit["placement"],
        "reply_by": visit["promises"]["other"]["reply_by"],
        "reply_key": reply_key,
        "submitted_at": visit["now"],
    }
    return structs.replace(report, **{**given, **changes})


def seal_body(visit: dict[str, Any], *, key: SealingKey, with_words: bool = True, **changes: Any) -> dict[str, Any]:
    """Seal a report and its place into the body of Send; `changes` are of the report."""
    seed, token = derive_return_keys(WORDS, reference=visit["reference"])
    reply_key = make_reply_public_key(seed)
    report = make_report_of(visit, reply_key=reply_key if with_words else None, **changes)
    place = ReturnPlace(
        environment=visit["environment"],
        language="en",
        reference=visit["reference"],
        reply_by=report.reply_by,
        sent_at=visit["now"],
    )
    context = place_context(environment=visit["environment"], reference=visit["reference"])
    box = seal(encode(place), key=make_reply_key(reply_key), context=context).to_bytes()
    envelope = seal(encode_public_report(report), key=key, context=report_context(report.clear)).to_bytes()
    return {
        "clear": structs.asdict(report.clear),
        "envelope": to_base64url(envelope),
        "language": "en",
        "place": to_base64url(box) if with_words else None,
        "proposal": visit["proposal"],
        "token_sha256": hash_token(token).hex() if with_words else None,
    }


def send_body(person: Person, body: dict[str, Any], *, csrf_token: str) -> TestResponse:
    """Send a body under the token of its visit."""
    return post_json(person, "/form", encode(body), X_CSRFToken=csrf_token)


def read_receipt(answer: TestResponse) -> bytes:
    """Read the receipt of an answer."""
    assert (answer.status_code, answer.content_type) == (200, "application/json"), answer.text
    return parse_base64url(answer.json["receipt"])
