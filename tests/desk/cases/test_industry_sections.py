"""A partner's report laid out for reading: nothing left out, in the order of use, with why something is not held."""

from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest

from gateway.desk.cases.reading.industry_report import (
    MOST_CHANGES,
    NOT_HELD,
    Block,
    Fact,
    ReportSection,
    Value,
    count_completeness,
    list_changes,
    make_report_sections,
)
from gateway.desk.cases.reading.labels import get_field_label
from partner_sdk.report import Completeness, IndustryReport, NotHeld, list_given, make_sealed_report
from partner_sdk.report.model import NotHeldReason
from partner_sdk.report.outline import list_fields
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.evidence import EvidenceReference
from tests.builders import NOW, make_clear_fields, make_industry_report
from tests.desk.industry_builders import make_full_report, make_fullest_report

# Shown as a heading, or as the head or the words of a message.
NO_TITLE = {
    "/schema_version",
    "/files/file_id",
    *(f"/conversations/messages/{name}" for name in ("sender", "recipients", "type", "text", "sent_at")),
}


def lay_out(report: IndustryReport, **clear: object) -> list[ReportSection]:
    return make_report_sections(make_sealed_report(report, clear=make_clear_fields("example-chat", **clear)))


def list_blocks(sections: list[ReportSection]) -> Iterator[Block]:
    waiting = [block for section in sections for block in section.blocks]
    while waiting:
        block = waiting.pop()
        yield block
        waiting += block.blocks


def list_facts(sections: list[ReportSection]) -> Iterator[Fact]:
    for block in list_blocks(sections):
        yield from (*block.facts, *block.not_held)
        yield from (note for message in block.messages for note in message.notes)
        for grid in block.grids:
            yield from (Fact(title, value) for row in grid.rows for title, value in zip(grid.columns, row, strict=True))


def list_texts(sections: list[ReportSection]) -> list[str]:
    texts = [fact.value.text for fact in list_facts(sections)]
    for block in list_blocks(sections):
        texts.append(block.title)
        texts += [part for one in block.messages for part in (one.speaker, one.to, one.text.text)]
    return texts


def section_of(sections: list[ReportSection], name: str) -> ReportSection:
    (found,) = (one for one in sections if one.name == name)
    return found


def test_every_word_of_the_fullest_report_is_shown_as_it_was_written() -> None:
    report, words = make_fullest_report()
    shown = "\n".join(list_texts(lay_out(report)))
    assert len(words) > 150
    assert [word for word in words if word not in shown] == []


def test_every_field_of_the_model_is_shown_under_its_words() -> None:
    sections = lay_out(make_fullest_report()[0])
    titles = {fact.title for fact in list_facts(sections)}
    leaves = [field for field in list_fields() if field.part is None and field.pattern not in NO_TITLE]
    assert len(leaves) > 150
    assert [field.pattern for field in leaves if get_field_label(field) not in titles] == []


def test_no_two_fields_of_one_block_have_the_same_words() -> None:
    for block in list_blocks(lay_out(make_fullest_report()[0])):
        titles = [fact.title for fact in block.facts]
        assert len(titles) == len(set(titles))


def test_sections_come_in_the_order_in_which_an_analyst_needs_them() -> None:
    report = msgspec.structs.replace(make_full_report(), change_reason="A slip.")
    assert [section.name for section in lay_out(report)] == [
        *("changes", "urgency", "elsewhere", "children", "suspects", "events", "conversations", "places"),
        *("others", "files", "traces", "senders", "preservation", "particulars"),
    ]


def test_what_was_said_and_done_is_folded_and_who_is_in_danger_is_not() -> None:
    is_open = {section.name: section.is_open for section in lay_out(make_full_report())}
    assert [name for name, value in is_open.items() if value] == ["urgency", "elsewhere", "children", "suspects"]


def test_sections_about_which_nothing_is_said_are_left_out() -> None:
    report = make_industry_report(files=(), conversations=(), preservation=(), other_people=())
    named = {section.name for section in lay_out(report)}
    assert "changes" not in named
    assert {"urgency", "children", "particulars"} <= named


@pytest.mark.parametrize("reason", get_args(NotHeldReason))
def test_why_something_is_not_held_stands_there_in_words(reason: NotHeldReason) -> None:
    report = make_industry_report(suspects=NotHeld(not_held=reason))
    (block,) = section_of(lay_out(report), "suspects").blocks
    (fact,) = block.not_held
    assert fact.value.full_text == f"Not held: {NOT_HELD[reason]}"
    assert "_" not in fact.value.full_text


def test_what_is_left_blank_is_named() -> None:
    child = msgspec.structs.replace(list_given(make_full_report().children)[0], school=None, name=None)
    (block,) = section_of(lay_out(make_full_report(children=(child,))), "children").blocks
    assert {"School", "Name"} <= set(block.unsaid)


def test_references_of_other_bodies_stand_before_the_people_and_linked_reports_with_them() -> None:
    report = make_full_report(linked_reports=("K7QF-2M9TX-D",))
    (block,) = section_of(lay_out(report), "elsewhere").blocks
    assert [row[0].text for row in block.grids[0].rows] == ["NCMEC"]
    assert [fact.value.text for fact in block.facts] == ["K7QF-2M9TX-D"]
    assert [(fact.title, fact.value.text) for fact in block.not_held] == [("Police already informed", "none exists")]


def test_conversation_names_people_by_what_the_report_calls_them() -> None:
    (thread,) = section_of(lay_out(make_full_report()), "conversations").blocks
    first, second = thread.messages
    assert (first.speaker, first.to, first.side) == ("Suspect 1", "Child 1", "suspect")
    assert first.text == Value("[message]", is_typed=True)
    assert second.kind == "Picture"
    assert ("File", "file-1") in [(note.title, note.value.text) for note in second.notes]
    assert {("Suspect 1", "example-user-1001"), ("Child 1", "example-user-2002")} <= {
        (fact.title, fact.value.text) for fact in thread.facts
    }


def test_traces_are_tables_for_each_person() -> None:
    suspect, child = section_of(lay_out(make_full_report()), "traces").blocks
    logins, devices = suspect.grids
    assert logins.columns[:3] == ("IP address", "When it was used", "Source port")
    assert [[cell.full_text for cell in row][2] for row in logins.rows] == ["51234", "Not held: not collected"]
    assert devices.rows[0][1].text == "example-device-1"
    assert [fact.title for fact in child.not_held] == ["Devices"]


def test_times_are_read_to_the_second_and_codes_in_words() -> None:
    facts = {fact.title: fact.value.text for fact in list_facts(lay_out(make_full_report()))}
    assert facts["When it happened"] == "2026-11-24 18:30:00 UTC"
    assert facts["Age band"] == "13 to 15"
    assert facts["How it was detected"] == "User complaint"
    assert facts["Latitude"] == "51.0"


@pytest.mark.parametrize("said", [None, Completeness(missing=(), score=100)])
def test_desk_counts_completeness_itself_and_shows_a_different_count_by_the_sender(said: Completeness | None) -> None:
    honest = make_sealed_report(make_industry_report(), clear=make_clear_fields("example-chat"))
    assert honest.completeness is not None
    counted = count_completeness(msgspec.structs.replace(honest, completeness=said))
    assert counted.score == honest.completeness.score != 100
    assert "Child 1: Where the child is" in counted.missing
    assert counted.said == (None if said is None else 100)
    assert count_completeness(honest).said is None


def test_secret_that_opens_evidence_is_never_laid_out() -> None:
    evidence_id = make_report_id(NOW, bytes(10))
    reference = EvidenceReference(
        digest=None, evidence_id=evidence_id, file_id="file-1", secret="S" * 43, sha256="0" * 64, size_bytes=1
    )
    clear = make_clear_fields("example-chat", evidence_ids=(evidence_id,))
    content = msgspec.structs.replace(make_sealed_report(make_full_report(), clear=clear), evidence=(reference,))
    texts = list_texts(make_report_sections(content))
    assert evidence_id in texts
    assert [one for one in texts if reference.secret in one] == []


def test_differences_of_a_later_report_are_named_field_by_field() -> None:
    first = make_full_report()
    suspect = msgspec.structs.replace(
        list_given(first.suspects)[0],
        username="example_other",
        vehicle="Blue van",
        emails=(),
    )
    later = make_full_report(suspects=(suspect, suspect), uk_link=NotHeld(not_held="unknown"), change_reason="A slip.")
    changes = {one.title: (one.before.full_text, one.after.full_text) for one in list_changes(first, later)}
    assert changes["Whether it has a link to the United Kingdom"] == ("Yes", "Not held: they do not know why")
    assert changes["People whose conduct is reported 1: User name"] == ("example_adult", "example_other")
    assert changes["People whose conduct is reported 1: Vehicle"] == ("Not held: not collected", "Blue van")
    assert changes["People whose conduct is reported 1: E-mail addresses"] == ("2 given", "")
    assert changes["People whose conduct is reported 2"] == ("", "Given")
    assert len(changes) == 5
    assert list_changes(first, first) == []
    # An addition need not repeat what the first report says.
    added = [one.title for one in list_changes(first, later, is_addition=True)]
    assert added == [title for title in changes if title != "People whose conduct is reported 1: E-mail addresses"]


def test_differences_end_at_a_hundred() -> None:
    suspect = list_given(make_full_report().suspects)[0]
    login = list_given(suspect.logins)[0]
    many = (msgspec.structs.replace(suspect, logins=(login,) * 300),)
    others = (msgspec.structs.replace(suspect, logins=(msgspec.structs.replace(login, port=1),) * 300),)
    assert len(list_changes(make_full_report(suspects=many), make_full_report(suspects=others))) == MOST_CHANGES
