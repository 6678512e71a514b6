"""Every command of the SDK's README runs as written and in the order of the page, against a real gateway and desk."""

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.testing import Sandbox, scenarios
from partner_sdk import Partner
from partner_sdk._commands.runtime import EXIT_NOT_DELIVERED, STATE_VARIABLE, Runtime
from partner_sdk.cli import main
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import TEMPLATE
from tests.builders import EXAMPLE_REPORT
from tests.documents import PLACEMENT, README, list_lines
from tests.sdk.evidence_builders import make_report
from tests.sdk.renew_button_release import REPOSITORY

REFERENCE, ID = "K7QF-2M9TX-D", "01a211d3-7340-7ff3-b7d7-b412be473e63"
FINGERPRINT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class Service:
    """A partner who follows the page: its files, its folder, and the ids of this run for those of the page."""

    def __init__(self, folder: Path, sandbox: Sandbox, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self.sandbox, self.capture = folder, sandbox, capture
        self.state = folder / "report-abuse"
        self.invitation = sandbox.invite()
        self.names = {
            "/var/lib/report-abuse": str(self.state),
            "https://report.example": sandbox.origin,
            "partner_sdk/examples/": f"{REPOSITORY}/partner_sdk/examples/",
            FINGERPRINT: self.invitation.root_fingerprint,
        }

    @property
    def partner(self) -> Partner:
        return self.sandbox.open_partner(self.state)

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def submit(self) -> Any:
        """Submit a report and put its reference and id into the lines that follow."""
        receipt = self.partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
        self.names |= {REFERENCE: receipt.reference, ID: receipt.report_id}
        return receipt

    def run(self, line: str) -> int:
        for name, here in self.names.items():
            line = line.replace(name, here)
        if not line.startswith("report-abuse-partner "):
            return subprocess.run(shlex.split(line), cwd=self.folder, check=False).returncode
        line, _, redirected = line.partition(" > ")
        if redirected:
            self.capture.readouterr()
        code = self.main(line)
        if redirected:
            self.write(redirected, self.capture.readouterr().out.encode())
        return code

    def main(self, line: str) -> int:
        return main(shlex.split(line)[1:], runtime=Runtime(open_session=self.sandbox.session, sleep=lambda _: None))

    def read_json(self, line: str) -> Any:
        self.capture.readouterr()
        self.run(f"report-abuse-partner {line}")
        return json.loads(self.capture.readouterr().out)


def bring_invitation(service: Service, _: pytest.MonkeyPatch) -> None:
    service.write("invitation.json", encode(service.invitation))
    service.write("registration.json", encode(TEMPLATE))


def let_the_desk_work(service: Service, _: pytest.MonkeyPatch) -> None:
    service.sandbox.run_desk()


def write_a_report(service: Service, _: pytest.MonkeyPatch) -> None:
    service.write("report.json", EXAMPLE_REPORT.read_bytes())


def pipe_a_report(service: Service, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(EXAMPLE_REPORT.read_bytes())))


def submit(service: Service, _: pytest.MonkeyPatch) -> None:
    service.submit()


def leave_unsent(service: Service, _: pytest.MonkeyPatch) -> None:
    # The page discards a report that the gateway refuses for good; one that waits is discarded in the same way.
    service.sandbox.next_requests(scenarios.timeout(), times=6)
    service.write("unsent.json", EXAMPLE_REPORT.read_bytes())
    assert service.run("report-abuse-partner report submit unsent.json --priority P2") == EXIT_NOT_DELIVERED
    assert service.sandbox.waiting_scenarios == []
    (waiting,) = service.read_json("spool status")["reports"]
    service.names[ID] = waiting["report_id"]


def keep_a_receipt(service: Service, _: pytest.MonkeyPatch) -> None:
    receipt = service.submit()
    service.write("receipt.json", (service.state / "receipts" / f"{receipt.report_id}.json").read_bytes())


def bring_files(service: Service, _: pytest.MonkeyPatch) -> None:
    service.submit()
    service.write("report.json", encode(make_report("file-1")))
    service.write("clip.mp4", b"a film")


def bring_more_files(service: Service, _: pytest.MonkeyPatch) -> None:
    report = msgspec.structs.replace(make_report("file-2"), change_reason=None)
    service.write("report.json", encode(report))
    service.write("chat.csv", b"a;chat")


def leave_a_file_unsent(service: Service, _: pytest.MonkeyPatch) -> None:
    service.write("report.json", encode(make_report("file-1")))
    service.sandbox.next_requests(scenarios.unavailable(), times=20)
    service.run("report-abuse-partner report submit report.json --priority P1 --evidence file-1=clip.mp4")
    service.sandbox.cancel_scenarios()
    (waiting,) = service.read_json("spool status")["evidence"]
    service.names[ID] = waiting["report_id"]


def empty_the_spool(service: Service, _: pytest.MonkeyPatch) -> None:
    service.run("report-abuse-partner spool flush")
    service.write("report.json", EXAMPLE_REPORT.read_bytes())


def write_it_again(service: Service, _: pytest.MonkeyPatch) -> None:
    (service.folder / "sealed-report.json").unlink()
    (waiting,) = service.read_json("spool status")["reports"]
    service.names[ID] = waiting["report_id"]


def carry_it_to_the_desk(service: Service, _: pytest.MonkeyPatch) -> None:
    receipt = service.sandbox.import_file((service.folder / "sealed-report.json").read_bytes())
    service.write("from-the-desk.json", receipt)


def be_asked(service: Service, _: pytest.MonkeyPatch) -> None:
    service.write("entry.json", b'{"kind": "question", "by": "Anna Example", "text": "Which account?"}')
    service.write("answer.json", EXAMPLE_REPORT.read_bytes())
    service.names[ID] = service.sandbox.send_question(service.submit().reference, "From which port?")


def get_a_package(service: Service, _: pytest.MonkeyPatch) -> None:
    service.names[ID] = service.sandbox.send_example("package")


def fill_in_the_request(service: Service, _: pytest.MonkeyPatch) -> None:
    service.capture.readouterr()
    assert service.run("report-abuse-partner button adopt --example") == 0
    request = json.loads(service.capture.readouterr().out)
    service.write("request.json", json.dumps(request | {"organisation": "Small Forum CIC"}).encode())


def bring_page(service: Service, _: pytest.MonkeyPatch) -> None:
    service.write("page.json", (REPOSITORY / "partner_sdk/examples/page-context.json").read_bytes())


def get_mail(service: Service, _: pytest.MonkeyPatch) -> None:
    service.sandbox.run_desk()
    service.sandbox.send_digest()
    (digest, *_rest) = service.partner.collect_mailbox() and service.partner.digests()
    service.names["2026-Q3"] = digest.period


# What happens before a line, by its first words.
BEFORE: dict[str, Callable[[Service, pytest.MonkeyPatch], None]] = {
    "enrol invitation.json": bring_invitation,
    "doctor": let_the_desk_work,
    "report preview": write_a_report,
    "report submit - ": pipe_a_report,
    "report status": submit,
    "report discard": leave_unsent,
    "receipt verify receipt.json": keep_a_receipt,
    "report submit report.json --priority P1 --evidence": bring_files,
    "report submit report.json --priority P3 --kind supplement": bring_more_files,
    "evidence discard": leave_a_file_unsent,
    "spool status": empty_the_spool,
    "spool write": write_it_again,
    "receipt add": carry_it_to_the_desk,
    "thread list": be_asked,
    "thread open": get_a_package,
    "button context": bring_page,
    "button adopt request.json": fill_in_the_request,
    "inbox": get_mail,
}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        service = Service(tmp_path, sandbox, capsys)
        monkeypatch.setenv(STATE_VARIABLE, str(service.state))
        yield service


def run_lines(service: Service, runner: str, *documents: str) -> None:
    waiting, failed = dict(BEFORE), []
    for line in (line for document in documents for line in list_lines(runner, document)):
        words = line.removeprefix("report-abuse-partner ")
        with pytest.MonkeyPatch.context() as patch:
            for start in [one for one in waiting if words.startswith(one)]:
                waiting.pop(start)(service, patch)
            code = service.run(line)
        if code != 0:
            failed.append((code, words, *service.capture.readouterr()))
    assert failed == []
    assert service.sandbox.waiting_scenarios == []
    assert runner != README or waiting == {}


def test_lines_of_the_readme_run_in_order(service: Service) -> None:
    run_lines(service, README, "partner_sdk/README.md", "widget/README.md")


def test_lines_of_the_placement_page_run_in_order(service: Service) -> None:
    service.sandbox.enrol(service.state)
    run_lines(service, PLACEMENT, "docs/placement.md")
    assert {path.name for path in service.folder.glob("report_abuse.*")} == {"report_abuse.py"}
