"""The sentences at the top of a digest's page, for a hurried reader: number, change, weaknesses, first step, certainty.

Judges nothing that the published numbers do not hold.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from partner_sdk.digests.changes import describe_certainty, find_cell, get_middle, get_noticeable, judge_change
from partner_sdk.wire.digest import KIND, Digest, DigestCell, describe_share, is_clear

# A range wider than this share of its number says little more than the order of size.
ROUGH_SHARE: Final = 0.5
MOST_NAMED: Final = 3
# Tables of a year whose largest answer is told, and the answers that say nothing of what happened.
_FACTS: Final = frozenset({"first_contact", "moved_to", "blackmail", "posed_as"})
_NOT_TOLD: Final = frozenset({"not_stated", "none"})
# Exact facts of a digest that ask for an action, by table and label.
_WAITING: Final = {
    ("questions", "open"): "{number} of our questions {have} no answer yet.",
    ("checks", "faults"): "{number} check{s} of your button found a fault.",
    ("checks", "unreachable"): "{number} check{s} could not load the page of your button.",
}


def format_period(digest: Digest) -> str:
    """Return a period in words, e.g. `July to September 2026`."""
    first, last = date.fromisoformat(digest.first_day), date.fromisoformat(digest.last_day)
    return str(first.year) if digest.span == "year" else f"{first:%B} to {last:%B %Y}"


def list_summary(digest: Digest, earlier: Sequence[Digest]) -> list[tuple[str, str]]:
    """Return short headings, each with one or two sentences, in the order of the page."""
    if digest.total is None:
        later = f" The digest of the year {digest.period[:4]} will count them too." if digest.span == "quarter" else ""
        text = f"There were too few reports in {format_period(digest)} for figures that would mean anything.{later}"
        waiting = _list_waiting(digest)
        return [("No figures this time", text), *(waiting or [("What to do", "Nothing. Your own figures are below.")])]
    return [
        ("How many", _describe_total(digest, digest.total)),
        ("What changed", " ".join(list_change_sentences(digest, earlier))),
        *_list_facts(digest),
        ("What is often named", _describe_weaknesses(digest)),
        ("What to do first", _describe_first_step(digest)),
        *_list_waiting(digest),
        ("How sure we are", _describe_sureness(digest, digest.total)),
    ]


def _list_facts(digest: Digest) -> list[tuple[str, str]]:
    """Return one heading with the largest known answer of each fact of a year, where its range is apart; or none."""
    sentences = []
    for table in digest.tables:
        known = [cell for cell in table.cells if cell.label not in _NOT_TOLD]
        ordered = sorted(known, key=get_middle, reverse=True) if table.name in _FACTS else []
        if len(ordered) > 1 and ordered[0].value is not None and ordered[0].low > ordered[1].high:
            sentences.append(f"{table.title}: {format_inside(ordered[0].title)} (about {format_value(ordered[0])}).")
    return [("How it went", " ".join(sentences))] if sentences else []


def _list_waiting(digest: Digest) -> list[tuple[str, str]]:
    """Return one heading with the exact facts that ask for an action of the partner, or none."""
    exact = {(table.name, cell.label): cell.value for table in digest.tables if table.exact for cell in table.cells}
    sentences = [
        words.format(number=number, s="" if number == 1 else "s", have="has" if number == 1 else "have")
        for fact, words in _WAITING.items()
        if (number := exact.get(fact))
    ]
    return [("What to look at", " ".join(sentences))] if sentences else []


def _describe_total(digest: Digest, total: DigestCell) -> str:
    about = f"about {format_value(total)} incidents about your service to us ({format_range(total)})"
    start = f"The public reported {about}; counted are those that we closed in {format_period(digest)}."
    kinds = [cell for cell in list_kinds(digest) if cell.value is not None]
    largest = sorted(kinds, key=lambda cell: -(cell.value or 0))[:MOST_NAMED]
    if largest:
        named = join_words([f"{format_inside(cell.title)} (about {format_value(cell)})" for cell in largest])
        start += f" {'The largest kinds' if len(largest) > 1 else 'The only kind shown'}: {named}."
    return start


def format_range(cell: DigestCell) -> str:
    """Return a range in words, e.g. `between 71 and 89`."""
    return f"between {cell.low:,} and {cell.high:,}"


def format_value(cell: DigestCell) -> str:
    """Return a number as people read it, e.g. `1,194`, or the words in its place."""
    return cell.shown if cell.value is None or cell.shown != str(cell.value) else f"{cell.value:,}"


def format_inside(title: str) -> str:
    """Return a title for the middle of a sentence."""
    return title[:1].lower() + title[1:]


def join_words(parts: Sequence[str]) -> str:
    """Return parts as a list in words, e.g. `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def list_kinds(digest: Digest) -> list[DigestCell]:
    """Return the numbers of the table of kinds."""
    return [cell for table in digest.tables if table.name == KIND for cell in table.cells]


def list_change_sentences(digest: Digest, earlier: Sequence[Digest]) -> list[str]:
    """Return sentences about the change since the newest earlier digest that has figures."""
    before = next((one for one in reversed(earlier) if one.total is not None), None)
    if before is None or before.total is None or digest.total is None:
        return ["There is no earlier digest to stand beside this one, so nothing can be said about change."]
    since = f"in {format_period(before)} (about {format_value(before.total)})"
    words = {"up": f"More incidents than {since}.", "down": f"Fewer incidents than {since}."}
    change = judge_change(digest.total, before.total)
    sentences = [words.get(change, f"No clear change in the number of incidents from the one {since}.")]
    sentences.append(f"We would notice a change of about {get_noticeable(digest.total, before.total):,}.")
    for direction, start in (("up", "More of"), ("down", "Fewer of")):
        titles = []
        for cell in list_kinds(digest):
            old = find_cell(before, KIND, cell.label)
            if old is not None and judge_change(cell, old) == direction:
                titles.append(format_inside(cell.title))
        if titles:
            sentences.append(f"{start}: {'; '.join(titles)}.")
    return sentences


def _describe_weaknesses(digest: Digest) -> str:
    if digest.recommendations:
        named = [f"{one.weakness} ({describe_share(digest, one.label)})" for one in digest.recommendations]
        return f"{'; '.join(named)}."
    return "No weakness stands out from chance. That does not mean that there is none."


def _describe_first_step(digest: Digest) -> str:
    if digest.recommendations:
        return digest.recommendations[0].change
    gaps = list_gaps(digest)
    if gaps:
        return f"Look at why you see so few reports of this kind yourself: {format_inside(gaps[0].title)}."
    return "Keep the way to report easy to find, and look at the next digest beside this one."


def _describe_sureness(digest: Digest, total: DigestCell) -> str:
    share = describe_certainty(digest)
    start = (
        "Each number has a small random amount added, so that no child and no other person can be recognised. "
        f"With {share} certainty the true number is inside its range."
    )
    if total.high - total.low > ROUGH_SHARE * get_middle(total):
        return f"{start} With so few incidents the ranges are wide: trust the largest lines only."
    return f"{start} Large lines are reliable; small differences between lines mean nothing."


def list_gaps(digest: Digest) -> list[DigestCell]:
    """Return the kinds that the public reports more often than the partner beyond chance, the widest gap first."""
    kinds = [cell for cell in list_kinds(digest) if is_clear(cell)]
    return sorted(kinds, key=lambda cell: (cell.own or 0) - cell.low)[:MOST_NAMED]
