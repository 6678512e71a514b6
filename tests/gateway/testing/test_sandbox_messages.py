"""An example of everything that the agency sends about a case, with its thread, between the real desk and the SDK."""

from pathlib import Path

import pytest

from gateway.testing import Sandbox
from partner_sdk import Partner
from partner_sdk.errors import MailboxError
from tests.builders import EXAMPLE_REPORT

RAW = EXAMPLE_REPORT.read_bytes()
BY = "Sergeant Anna Example"
KINDS = ("information-request", "preservation-request", "terms-referral", "alert", "package")


@pytest.mark.parametrize("kind", KINDS)
def test_example_arrives_is_answered_and_its_thread_is_at_the_desk(
    sandbox: Sandbox, partner: Partner, kind: str
) -> None:
    partner.submit(RAW, priority="P3")
    message_id = sandbox.send_example(kind)
    assert partner.collect_mailbox().alarms == ()
    (thread,) = partner.threads.read(kind).threads
    assert (thread.message_id, thread.state) == (message_id, "open")
    sandbox.write_to_thread(message_id, "question", "Since when?")
    partner.collect_mailbox()
    assert partner.threads.read(kind).threads[0].is_asked
    partner.threads.write(message_id, kind="acknowledge", by=BY)
    partner.threads.write(message_id, kind="answer", by=BY, text="Since Monday.")
    assert {(one.direction, one.kind, one.text) for one in sandbox.read_thread(message_id)} == {
        ("out", "question", "Since when?"),
        ("in", "acknowledge", ""),
        ("in", "answer", "Since Monday."),
    }


def test_package_of_the_sandbox_opens_and_its_outcome_reaches_the_desk(
    sandbox: Sandbox, partner: Partner, tmp_path: Path
) -> None:
    partner.submit(RAW, priority="P3")
    message_id = sandbox.send_example("package")
    partner.collect_mailbox()
    opened = partner.threads.open_package(message_id, tmp_path / "case")
    assert (opened.manifest.environment, opened.manifest.recipient) == ("sandbox", "example-service")
    assert b"NOT A REPORT" in (tmp_path / "case" / "page.html").read_bytes()
    partner.threads.write(message_id, kind="outcome", by=BY, outcome="no_crime")
    (entry,) = sandbox.read_thread(message_id)
    assert (entry.kind, entry.outcome, entry.by) == ("outcome", "no_crime", BY)
    sandbox.write_to_thread(message_id, "recall", "A slip.")
    partner.collect_mailbox()
    with pytest.raises(MailboxError) as caught:
        partner.threads.open_package(message_id, tmp_path / "again")
    assert caught.value.reason == "recalled"


def test_third_partner_learns_of_nothing(sandbox: Sandbox, partner: Partner, tmp_path: Path) -> None:
    third = sandbox.enrol(tmp_path / "third", "third-service")
    partner.submit(RAW, priority="P3")
    for kind in KINDS:
        message_id = sandbox.send_example(kind)
        partner.collect_mailbox()
        partner.threads.write(message_id, kind="note", by=BY, text="A word.")
    assert third.collect_mailbox().messages == ()
    assert third.threads.read().threads == ()
    with pytest.raises(MailboxError):
        third.threads.write(message_id, kind="note", by=BY, text="A word.")


def test_example_without_a_report_or_for_a_body_without_packages_is_refused(
    sandbox: Sandbox, partner: Partner, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="submit a report first"):
        sandbox.send_example("package")
    sandbox.send_example("alert")
    sandbox.enrol(tmp_path / "third", "third-service")
    partner.submit(RAW, priority="P3")
    with pytest.raises(ValueError, match="example-police"):
        sandbox.send_example("package", partner="third-service")
