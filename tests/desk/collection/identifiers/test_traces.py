"""A text that is to leave the house is checked for the person behind a report."""

import pytest

from gateway.desk.collection.identifiers import (
    TRACE_TITLES,
    Traces,
    is_of_reporter,
    list_matches,
    make_context_traces,
    make_traces,
    normalise_account,
)
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.button import ContextAccount, PageContext
from tests.builders import make_clear_fields
from tests.desk.industry_builders import make_full_report
from tests.public_report_builders import make_child_details, make_contact, make_known_person, make_public_report

REFERENCE = "GFS1-XJXCR-C"
REPORT = make_public_report(
    name="Will Sample",
    contact=make_contact(
        email="Sam@home.example", phone="07700 900123", safe_word="Marmalade", adult="my aunt in the corner shop"
    ),
    child=make_child_details(name="Zoë", school="Northfield Primary", place="Leeds, near the station"),
    person=make_known_person(app="Other Chat", handle="@Night_Owl7", names="Nigel Grey"),
    story="He said he was fifteen. Then he wanted me to move to another app and keep quiet about it.",
)
TRACES = make_traces(REPORT, references=[REFERENCE])


def kinds_in(text: str, traces: Traces = TRACES) -> set[str]:
    return {one.kind for one in list_matches(text, traces)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A child named Will was asked.", "name"),
        ("ZOË was asked.", "name"),
        ("the account of zoë", "name"),
        ("Zoe\u0308 was asked.", "name"),
        ("Reported near Northfield.", "name"),
        ("She lives in LEEDS near the station.", "name"),
        ("Ask for marmalade, or Marmalade.", "name"),
        ("Write to sam@home.example today.", "contact"),
        ("Write to SAM@HOME.EXAMPLE, please.", "contact"),
        ("Call +44 7700 900123.", "contact"),
        ("Call 0.7.7.0.0.9.0.0.1.2.3.", "contact"),
        ("See GFS1 XJXCR C.", "reference"),
        ("see gfs1-xjxcr-c", "reference"),
        ("Said: “wanted me to move  to ANOTHER app”.", "words"),
        ("My aunt in the corner shop knows.", "words"),
    ],
)
def test_trace_is_found_in_each_spelling(text: str, kind: str) -> None:
    assert kind in kinds_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "An adult poses as fifteen and asks children to move to another app.",
        "You will see it in Leeds. Nothing may stay.",
        "The account is @Night_Owl7, Nigel Grey.",  # the suspect's own
        "",
    ],
)
def test_own_words_about_the_pattern_are_free(text: str) -> None:
    assert kinds_in(text) == set()


def test_short_story_counts_whole() -> None:
    traces = make_traces(make_public_report(story="Please help me"))
    assert kinds_in("A child wrote: please help me.", traces) == {"words"}
    assert kinds_in("Please help the child.", traces) == set()


def test_report_without_answers_has_no_traces() -> None:
    assert make_traces(make_public_report()) == Traces()


def test_industry_report_gives_child_staff_and_conversation() -> None:
    report = make_full_report()
    traces = make_traces(SealedIndustryReport(clear=make_clear_fields("example-chat"), report=report))
    said = report.incident.narrative
    found = list_matches(f"They wrote: {said} Ask {report.reporter.submitter_email}.", traces)
    assert {one.kind for one in found} >= {"words", "contact"}
    assert kinds_in(f"Found by {report.reporter.organisation}", traces) == {"name"}


def test_accounts_of_child_and_suspect_are_told_apart() -> None:
    report = make_full_report()
    traces = make_traces(SealedIndustryReport(clear=make_clear_fields("example-chat"), report=report))
    service = report.reporter.service

    def is_known(name: object) -> bool:
        account = normalise_account(service, str(name))
        assert account is not None
        return is_of_reporter([account], traces)

    assert is_known(report.children[0].service_user_id)  # type: ignore[index,union-attr]
    assert not is_known(report.suspects[0].service_user_id)  # type: ignore[index,union-attr]


def test_traces_of_several_reports_are_joined() -> None:
    both = make_traces(make_public_report(name="Ada")) | make_traces(make_public_report(name="Bea"))
    assert kinds_in("Ada", both) == kinds_in("Bea", both) == {"name"}


def test_first_name_that_is_a_word_needs_its_capital() -> None:
    traces = make_traces(make_public_report(name="Will Brightwell"))
    assert kinds_in("It will be kept, and may be asked about.", traces) == set()
    assert kinds_in("the friend of will brightwell", traces) == kinds_in("Ask Will.", traces) == {"name"}


def test_service_that_reported_is_named_to_no_other() -> None:
    report = make_full_report()
    traces = make_traces(SealedIndustryReport(clear=make_clear_fields("mild-chat"), report=report))
    assert kinds_in("MILD-CHAT wrote", traces) == kinds_in(f"As {report.reporter.service} said", traces) == {"name"}


def test_account_that_pressed_the_button_is_of_the_person_who_reported() -> None:
    claim = PageContext(
        context_id="c",
        environment="live",
        expires_at="2026-11-25T09:30:00Z",
        issued_at="2026-11-25T08:30:00Z",
        partner="example-chat",
        placement="chat-1",
        surface="chat",
        about=(ContextAccount(account_id="u-900", display_name="Night_Owl7"),),
        viewer=ContextAccount(account_id="u-777", display_name="Mild Sam"),
    )
    traces = make_context_traces(claim)
    assert kinds_in("u-900 is Night_Owl7", traces) == set()
    assert kinds_in("Keep u-777.", traces) == {"contact"}
    assert kinds_in("It wrote to mild sam", traces) == {"name"}
    assert make_context_traces(None) == Traces()


def test_every_kind_has_a_title() -> None:
    assert set(TRACE_TITLES) == {"name", "contact", "reference", "words"}
