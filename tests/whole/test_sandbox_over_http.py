"""`report-abuse-gateway sandbox` for clients that share no code with it: Node, and bash with the lines of the guide."""

import contextlib
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import pytest

from gateway.config import utc_now
from gateway.testing.serving import _own_folder
from partner_sdk import Partner, parse_invitation
from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.enrolment import enrolment_context, make_partner_pin
from partner_sdk.wire.sealing import SealContext, seal
from partner_sdk.wire.signing import get_active_sealing_key, verify_bundle
from partner_sdk.wire.submission import ClearFields, report_context
from tests.builders import EXAMPLE_REPORT
from tests.builders.local_servers import find_free_port
from tests.contract.npm_package import build_package, run_node
from tests.empty_environment import build_wheel, make_environment
from tests.house.sources import ROOT

GUIDE = ROOT / "docs" / "guides" / "any-language.md"
PATIENCE_SECONDS = 60
T = TypeVar("T")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the two wheels alone, as a partner's developer has it."""
    sources = (*(ROOT / "partner_sdk" / one for one in (".", "reader", "console")), ROOT)
    wheels = [build_wheel(source, tmp_path_factory.mktemp("wheel")) for source in sources]
    return make_environment(tmp_path_factory.mktemp("environment"), *wheels)


@pytest.fixture(scope="module")
def sandbox(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The line of a running sandbox. At the end it stops by itself and leaves nothing but the partner's folder.

    It runs from the two wheels alone, in a folder without the sources, and under nohup, whose SIGHUP it outlives. It
    reaches itself without the machine's proxy, which is not there.
    """
    folder = tmp_path_factory.mktemp("sandbox")
    with (
        (folder / "log").open("wb") as log,
        running(
            *("env", "--ignore-signal=HUP", f"--chdir={folder}"),
            python=python,
            words=("--partner-folder", str(folder / "partner")),
            stderr=log,
            http_proxy=f"http://127.0.0.1:{find_free_port()}",
        ) as process,
    ):
        line = read_first_line(process)
        assert line, (folder / "log").read_text("utf-8")
        ready = json.loads(line)
        process.send_signal(signal.SIGHUP)
        yield ready
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert not Path(ready["invitation"]).parent.exists()
    assert (folder / "partner" / "keys").is_dir()


@contextlib.contextmanager
def running(
    *command: str,
    python: Path = Path(sys.executable),
    program: Sequence[str] = ("-m", "gateway.cli"),
    words: Sequence[str] = (),
    temporary: Path | None = None,
    stderr: IO[bytes] | None = None,
    http_proxy: str | None = None,
) -> "Iterator[subprocess.Popen[str]]":
    """Run a sandbox by a command, with its temporary folder in `temporary`; at the end kill one that did not stop."""
    given = {"TMPDIR": temporary and str(temporary), "http_proxy": http_proxy}
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    with subprocess.Popen(
        [*command, str(python), *program, "sandbox", "--port", str(find_free_port()), "--json", *words],
        env=environment | {name: value for name, value in given.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # `Popen` waits at the end of its block, for ever if an assertion came before the signal


def read_first_line(process: "subprocess.Popen[str]") -> str:
    """Read the line of a ready sandbox; fail if it never comes."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], PATIENCE_SECONDS)[0], "never ready"
    return process.stdout.readline()


def wait_for(look: Callable[[], T | None]) -> T:
    """Look until something is there; the desk works once a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_sandbox_under_nohup_and_with_a_proxy_that_is_not_there_is_ready(sandbox: dict[str, Any]) -> None:
    assert sandbox["environment"] == "sandbox"


def test_typescript_client_walks_the_whole_way_of_a_partner(sandbox: dict[str, Any], tmp_path: Path) -> None:
    build_package()
    invitation = Path(sandbox["invitation"])
    first = parse_invitation(invitation.read_bytes())
    seen = json.loads(run_node("test/walk.mjs", invitation, tmp_path / "npm", EXAMPLE_REPORT))
    assert (seen["partner"], seen["key"]) == (first.partner, seen["keys"]["submission"])
    assert all(reference.startswith("TEST-") for reference in seen["references"].values())
    assert seen["checked"] in seen["references"].values()
    # The answer to the first try was lost: the same body went again, under another signature, and was stored once.
    assert seen["tries"] == {"sent": 2, "signatures": 2}
    assert sorted(seen["receipts"]) == ["initial", "initial", "initial", "response", "supplement"]
    assert seen["waiting"] == []
    assert len(seen["log"]) == len(seen["receipts"])
    assert set(seen["log"]) <= {"in-log", "waits"}
    assert seen["evidence"] == [{"isComplete": True, "waiting": []}] * 2
    assert seen["outcome"]["outcome"] == "used"
    assert seen["references"][seen["outcome"]["report_id"]] == seen["outcome"]["reference"]
    assert seen["question"]["report_id"] in seen["references"]
    assert seen["question"]["state"] == "answered"
    assert seen["numbers"] == list(range(1, len(seen["numbers"]) + 1))
    assert (seen["alert"], seen["stages"]) == ("acknowledged", ["opened", "opened"])
    assert seen["digest"]["rows"] > 0
    assert (seen["digest"]["partner"], seen["digest"]["synthetic"]) == (first.partner, True)
    assert seen["files"] == ["case.jsonld", "page.html", "page.pdf", "reports/r1.json"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "npm").rglob("*.*")} == {0o600}
    # An answered invitation is followed by the next one.
    assert parse_invitation(invitation.read_bytes()).partner != first.partner


def test_ready_partner_waits_for_the_question_and_answers_it(sandbox: dict[str, Any]) -> None:
    partner = Partner.open(
        Path(sandbox["partner_folder"]), sleep=lambda _: pytest.fail("the gateway did not let the partner wait")
    )
    began = time.monotonic()
    assert (partner.collect_mailbox(wait_seconds=1).messages, time.monotonic() - began >= 1) == ((), True)
    partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
    for _ in partner.wait_for_messages(for_seconds=PATIENCE_SECONDS):
        if partner.questions():
            break
    (question,) = partner.questions()
    answer = partner.answer(question.request_id, EXAMPLE_REPORT.read_bytes(), priority="P3")
    wait_for(lambda: partner.get_progress(answer.report_id).stage == "opened" or None)
    assert [one.synthetic for one in partner.digests()] == [True]


def list_guide_blocks() -> list[str]:
    """Return the blocks of the guide, as they are written."""
    return re.findall(r"^```bash\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run_guide(*blocks: str, folder: Path, **variables: str) -> str:
    """Run blocks of the guide in one shell and return its output."""
    done = subprocess.run(
        ["bash", "-c", "\n".join(("set -eu", *blocks))],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lines_of_the_guide_lead_from_an_invitation_to_a_receipt(sandbox: dict[str, Any], tmp_path: Path) -> None:
    # Bash has no HPKE: the X-Wing key pair and the two sealed boxes alone are made here.
    spellings, new_keys, fetch, own_keys, statement, enrol, report, submission, send, sign_in = list_guide_blocks()
    raw = Path(sandbox["invitation"]).read_bytes()
    invitation = parse_invitation(raw)
    where = {"ORIGIN": invitation.origin, "ENVIRONMENT": invitation.environment, "PARTNER": invitation.partner}

    def run(*blocks: str) -> str:
        return run_guide(spellings, *blocks, folder=tmp_path, **where)

    def seal_for_agency(name: str, context: SealContext) -> None:
        keys = verify_bundle((tmp_path / "keys.json").read_bytes(), pin=make_partner_pin(invitation), now=utc_now())
        key = get_active_sealing_key(keys, now=utc_now())
        box = seal((tmp_path / f"{name}.json").read_bytes(), key=key, context=context)
        (tmp_path / context.purpose).with_suffix(".envelope").write_bytes(box.to_bytes())

    (tmp_path / "invitation.json").write_bytes(raw)
    (tmp_path / "mailbox.public").write_bytes(xwing_public_bytes(os.urandom(32)))
    run(new_keys, fetch)
    kept_keys = "\n".join(line for line in new_keys.splitlines() if not line.startswith("openssl genpkey"))
    run(kept_keys, own_keys, statement)
    hashed = json.loads((tmp_path / "own-keys.json").read_bytes())["secret_sha256"]
    context = {"environment": invitation.environment, "partner": invitation.partner, "hashed_secret": hashed}
    seal_for_agency("sealed-keys", enrolment_context(**context))
    run(kept_keys, own_keys, enrol)
    status = wait_for(lambda: (answer := json.loads(run(kept_keys, sign_in))).get("caller") and answer)
    assert (status["environment"], status["caller"]["partner"]) == ("sandbox", invitation.partner)

    (tmp_path / "report.json").write_bytes(EXAMPLE_REPORT.read_bytes())
    run(report)
    clear = msgspec.json.decode((tmp_path / "clear.json").read_bytes(), type=ClearFields)
    seal_for_agency("sealed", report_context(clear))
    run(kept_keys, statement, submission, send)
    receipt = json.loads((tmp_path / "receipt.json").read_bytes())
    payload = json.loads(parse_base64url(receipt["payload"]))
    assert payload["clear"] == json.loads((tmp_path / "clear.json").read_bytes())
    assert payload["submission_sha256"] == hashlib.sha256((tmp_path / "statement.json").read_bytes()).hexdigest()


def test_second_sandbox_on_the_port_is_refused(sandbox: dict[str, Any]) -> None:
    port = sandbox["origin"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "sandbox", "--port", port],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port}" in done.stderr


def test_sandbox_leaves_nothing_behind_when_its_terminal_closes(tmp_path: Path) -> None:
    # A test run under nohup ignores SIGHUP, and its children would too.
    with running("env", "--default-signal=HUP", temporary=tmp_path) as process:
        assert process.stdout is not None
        assert Path(json.loads(read_first_line(process))["invitation"]).is_relative_to(tmp_path)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGHUP
    assert list(tmp_path.iterdir()) == []


def test_sandbox_that_is_stopped_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(temporary=tmp_path) as process:
        wait_for(lambda: next(tmp_path.glob("report-abuse-sandbox-*/desk"), None))
        process.send_signal(signal.SIGTERM)
        # 0 where the server began in the meantime.
        assert process.wait(PATIENCE_SECONDS) in {0, 128 + signal.SIGTERM}
    assert list(tmp_path.iterdir()) == []


def test_signal_whose_exception_was_dropped_stops_the_sandbox_before_it_serves() -> None:
    with _own_folder() as (folder, leave_if_asked):
        leave_if_asked()
        with contextlib.suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SystemExit) as caught:
            leave_if_asked()
    assert caught.value.code == 128 + signal.SIGTERM
    assert not folder.exists()


SLOW_STAFF = """
import sys, time
from pathlib import Path
from gateway.cli import main
from gateway.testing.agency import SandboxAgency
def work(agency):
    for number in range(30):
        (agency.gateway_state.parent / f"work-{number}").write_text("")
        time.sleep(0.1)
    return []
SandboxAgency.work = work
sys.exit(main(sys.argv[1:]))
"""


def test_second_signal_while_the_staff_still_works_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(program=("-c", SLOW_STAFF), temporary=tmp_path) as process:
        read_first_line(process)
        wait_for(lambda: next(tmp_path.glob("report-abuse-sandbox-*/work-0"), None))
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # the server has ended by then; a machine that is slower only makes the two signals one
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert list(tmp_path.iterdir()) == []
