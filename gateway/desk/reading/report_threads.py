"""Lays conversations out as threads: who wrote to whom and when, in the order in which they were sent.

Never says who is a child or a suspect but by the ids of the report itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.desk.reading.report_blocks import Block, Fact, Message, get_part, make_block
from gateway.desk.reading.report_values import Value, spell, spell_not_held
from gateway.desk.reading.report_words import get_reading_words
from partner_sdk.report.model import Conversation, IndustryReport
from partner_sdk.report.model import Message as SentMessage
from partner_sdk.report.outline import Field, Part, get_outline, is_answered
from partner_sdk.report.people import Child, OtherPerson, Suspect
from partner_sdk.report.values import NotHeld, list_given

_SAID: Final = frozenset({"sender", "type", "text", "sent_at", "recipients"})
_NO_TEXT: Final = Value("No text", is_held=False)


def name_people(report: IndustryReport) -> dict[str, str]:
    """Return by service user id what each person of a report is called, such as `Child 1`."""
    named: dict[str, str] = {}
    groups: tuple[tuple[str, Sequence[Suspect | Child | OtherPerson]], ...] = (
        ("Other person", list_given(report.other_people)),
        ("Suspect", list_given(report.suspects)),
        ("Child", list_given(report.children)),
    )
    for word, people in groups:
        for number, person in enumerate(people, start=1):
            if isinstance(person.service_user_id, str):
                named[person.service_user_id] = f"{word} {number}"
    return named


def make_threads(report: IndustryReport, *, most_messages: int | None = None) -> tuple[Block, ...]:
    """Return a block for each thread of a report, with all its messages, or the first `most_messages` of the report."""
    people, part = name_people(report), get_part(get_outline(), "conversations")
    blocks, room = [], most_messages
    for thread in list_given(report.conversations):
        shown = thread.messages if room is None else thread.messages[:room]
        if room is not None:
            room -= len(shown)
        blocks.append(_make_thread(thread, part, shown=shown, people=people))
    return tuple(blocks)


def _make_thread(thread: Conversation, part: Part, *, shown: Sequence[SentMessage], people: Mapping[str, str]) -> Block:
    head = make_block(thread, part, without={"messages"})
    fields = {one.name: one for one in get_part(part, "messages").fields}
    ids = (user for sent in thread.messages for user in (sent.sender, *list_given(sent.recipients)))
    known = [user for user in dict.fromkeys(ids) if user in people]
    return Block(
        title=f"Thread {thread.thread_id}",
        # Who is who, once: every message names people by their number.
        facts=(*head.facts, *(Fact(people[user], Value(user, is_typed=True)) for user in known)),
        not_held=head.not_held,
        messages=tuple(_make_message(one, fields, people=people) for one in shown),
        messages_left=len(thread.messages) - len(shown),
        unsaid=head.unsaid,
    )


def _make_message(sent: SentMessage, fields: Mapping[str, Field], *, people: Mapping[str, str]) -> Message:
    return Message(
        speaker=_name(sent.sender, people),
        side=people.get(sent.sender, "Other").split()[0].lower(),
        time=_spell_or_blank(fields["sent_at"], sent.sent_at),
        to=_spell_recipients(sent, people),
        kind=spell(fields["type"], sent.type).text,
        text=spell(fields["text"], sent.text) if is_answered(sent.text) else _NO_TEXT,
        notes=tuple(_list_notes(sent, fields)),
    )


def _list_notes(sent: SentMessage, fields: Mapping[str, Field]) -> Iterator[Fact]:
    for name, field in fields.items():
        value = getattr(sent, name)
        if name not in _SAID and is_answered(value) and value is not False:
            yield Fact(get_reading_words(field), spell(field, value))


def _spell_recipients(sent: SentMessage, people: Mapping[str, str]) -> str:
    if isinstance(sent.recipients, NotHeld):
        return spell_not_held(sent.recipients).words
    return ", ".join(_name(one, people) for one in sent.recipients)


def _name(user_id: str, people: Mapping[str, str]) -> str:
    return people.get(user_id, user_id)


def _spell_or_blank(field: Field, value: object) -> str:
    return spell(field, value).words if is_answered(value) else "No time given"
