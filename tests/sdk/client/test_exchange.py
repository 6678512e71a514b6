"""An exchange with the gateway: only safe calls are tried again, and each error comes with the next step."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from partner_sdk._commands.runtime import EMERGENCY, EXIT_ALARM, EXIT_FAILED, EXIT_NOT_DELIVERED, Call, Runtime
from partner_sdk.cli import main
from partner_sdk.client.exchange import ENROLLED_ANEW, NOT_KNOWN, RetryPolicy, describe, send_patiently
from partner_sdk.client.http import make_problem_error
from partner_sdk.errors import (
    ConflictError,
    FieldFault,
    KeySetError,
    MailboxError,
    NotAuthorisedError,
    RefusedError,
    ReportAbuseError,
    TransportError,
)
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import NOT_AUTHORISED
from tests.builders import EXAMPLE_REPORT, PUBLIC_ORIGIN, Agency, House, Partner
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_invitation, make_state

NO_REPLY = TransportError("no", reason="timeout")


def refusal(status: int, retry_after: str | None = None) -> ReportAbuseError:
    return make_problem_error(status, b"", media_type="", retry_after=retry_after)


class Tries:
    """Fails with each error in turn, then returns "done"; keeps the waits."""

    def __init__(self, *errors: ReportAbuseError) -> None:
        self.errors = list(errors)
        self.count = 0
        self.waits: list[float] = []

    def send(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self, jitter: Callable[[], float] = lambda: 1.0, **settings: float) -> str:
        policy = RetryPolicy(**settings)
        return send_patiently(self.send, policy=policy, sleep=self.waits.append, jitter=jitter, on_wait=lambda *_: None)


@pytest.mark.parametrize("error", [NO_REPLY, refusal(500), refusal(503), refusal(429)])
def test_passing_failure_is_tried_again(error: ReportAbuseError) -> None:
    tries = Tries(error)
    assert tries.run() == "done"
    assert (tries.count, tries.waits) == (2, [0.5])


@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 413, 422])
def test_refusal_is_not_tried_again(status: int) -> None:
    tries = Tries(refusal(status))
    with pytest.raises(ReportAbuseError):
        tries.run()
    assert (tries.count, tries.waits) == (1, [])


def test_waits_grow_and_end() -> None:
    tries = Tries(*[NO_REPLY] * 9)
    with pytest.raises(TransportError):
        tries.run(tries=5, longest_wait_seconds=1.5)
    assert (tries.count, tries.waits) == (5, [0.5, 1.0, 1.5, 1.5])


def test_wait_is_a_random_share_of_its_span() -> None:
    tries = Tries(NO_REPLY)
    tries.run(jitter=lambda: 0.25)
    assert tries.waits == [0.125]


def test_wait_is_never_shorter_than_the_gateway_asks() -> None:
    tries = Tries(refusal(429, "20"))
    tries.run(jitter=lambda: 0.0)
    assert tries.waits == [20.0]


def test_error_comes_at_once_when_the_gateway_asks_for_more_than_the_patience() -> None:
    tries = Tries(refusal(503, "3600"))
    with pytest.raises(ReportAbuseError) as caught:
        tries.run()
    assert caught.value.retry_after_seconds == 3600
    assert (tries.count, tries.waits) == (1, [])


def test_time_that_the_tries_take_counts_against_the_patience() -> None:
    moments = iter([0.0, 60.0, 119.0])
    tries = Tries(*[NO_REPLY] * 9)
    with pytest.raises(TransportError):
        send_patiently(
            tries.send,
            policy=RetryPolicy(patience_seconds=119.9),
            sleep=tries.waits.append,
            jitter=lambda: 1.0,
            on_wait=lambda *_: None,
            count_seconds=lambda: next(moments),
        )
    assert (tries.count, tries.waits) == (2, [0.5])


def test_conflict_after_a_lost_reply_is_raised() -> None:
    tries = Tries(NO_REPLY, refusal(409))
    with pytest.raises(ConflictError):
        tries.run()
    assert tries.count == 2


REPORT = str(EXAMPLE_REPORT)


def test_partner_that_is_not_known_is_told_to_call_and_to_send_again(line: Terminal, house: House) -> None:
    house.publish(Partner().entry(state="suspended"), serial=2)
    assert line.run("report", "submit", REPORT, "--priority", "P2") == EXIT_NOT_DELIVERED
    assert NOT_KNOWN in line.err
    assert line.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert NOT_KNOWN in line.err
    assert line.run("inbox") == EXIT_FAILED
    assert NOT_KNOWN in line.err
    assert "Call the agency; then `spool flush`." in NOT_KNOWN


def test_folder_whose_enrolment_was_replaced_is_told_how_its_reports_get_through(line: Terminal, house: House) -> None:
    assert line.run("doctor") == 0
    anew = msgspec.structs.replace(Partner(partner="new-keys").entry(), partner="example-chat")
    house.publish(anew, serial=2)
    assert line.run("report", "submit", REPORT, "--priority", "P2") == EXIT_NOT_DELIVERED
    assert "replaced by a newer enrolment" in line.err
    assert "submit the reports of `spool status` again from your case files, with the new folder" in line.err
    assert line.run("doctor") == EXIT_FAILED
    assert ENROLLED_ANEW in line.out


@pytest.mark.parametrize("raw", [b"", b"cat", b"{}", EXAMPLE_REPORT.read_bytes()])
def test_file_that_is_no_receipt_is_no_alarm(line: Terminal, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "file").write_bytes(raw)
    assert line.run("receipt", "verify", str(tmp_path / "file")) == EXIT_FAILED
    assert "This is not a receipt file" in line.err
    assert "is NOT valid" not in line.err
    assert line.json()["verified"] is False


def test_receipt_of_another_folder_is_still_an_alarm(line: Terminal, house: House, tmp_path: Path) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P2") == 0
    receipt = str(line.json()["receipt_file"])
    make_state(tmp_path / "other", agency=house.agency)
    line.folder = tmp_path / "other"
    assert line.run("receipt", "verify", receipt) == EXIT_ALARM
    assert "is NOT valid" in line.err


def test_impostor_is_answered_with_a_call_to_the_agency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "invitation.json").write_bytes(encode(make_invitation(Agency(), Partner())))
    gateway = ScriptedGateway((200, {}, Agency(name="impostor").bundle()))
    line = Terminal(tmp_path / "new", gateway, capsys)
    assert line.run("enrol", str(tmp_path / "invitation.json")) == EXIT_FAILED
    assert "Stop here. Phone the agency and compare the fingerprint." in line.err


def test_key_set_of_another_environment_asks_for_a_new_invitation() -> None:
    advice = "Ask the agency for a new invitation."
    assert advice in describe(KeySetError("The key set is for another environment.", reason="wrong-environment"))
    assert advice not in describe(MailboxError("The message is for another one.", reason="wrong-environment"))


def test_lost_connection_names_the_address(line: Terminal) -> None:
    down = Terminal(line.folder, ScriptedGateway(OSError()), line.capsys)
    assert down.run("inbox") == EXIT_FAILED
    assert f"Could not connect to the gateway at {PUBLIC_ORIGIN}." in down.err


@pytest.mark.parametrize("kind", ["supplement", "correction", "retraction"])
def test_later_kind_without_an_earlier_reference_is_refused_with_words(line: Terminal, kind: str) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P1", "--kind", kind) == EXIT_FAILED
    assert f"A {kind} needs an earlier reference (--earlier-reference)" in line.err
    assert EMERGENCY in line.err
    assert list((line.folder / "submissions").iterdir()) == []


@pytest.mark.parametrize("quarter", ["foo", "2026-Q5", "2026Q3", "2026-Q3 "])
def test_period_is_shown_how_it_looks(quarter: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digest", "--quarter", quarter]) == 2
    assert "A period looks like 2026-Q3 or 2026." in capsys.readouterr().err


def test_rule_that_a_signature_broke_and_places_of_faults_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"status": 401, "request_id": None, "title": "Not authorised", "type": "x/problems/not-authorised"}
    assert describe(NotAuthorisedError(detail=NOT_AUTHORISED.advice, **told)).startswith(NOT_KNOWN)
    assert "Name the signature sig1." in describe(NotAuthorisedError(detail="Name the signature sig1.", **told))
    fault = FieldFault("#/statement/payload/kind", "Give one of initial, supplement.")
    refused = {"status": 422, "request_id": None, "title": "Refused", "type": "x/problems/statement-refused"}
    Call(Runtime()).warn_of(RefusedError(detail="", faults=[fault], **refused))
    assert "  #/statement/payload/kind: Give one of initial, supplement." in capsys.readouterr().err
