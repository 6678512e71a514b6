"""`report-abuse-gateway demo`: prints each step as it happens, then the addresses, and leaves no process behind."""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from gateway.clock import utc_now
from gateway.demo.cluster import PORTS as CLUSTER_PORTS
from gateway.demo.cluster import Cluster
from gateway.demo.loop import COLLECT_SECONDS, PARTNER_ID, PEOPLE, POLICE_ID, PORTS, Loop
from gateway.demo.processes import DemoError, Ports, check_ports_are_free
from gateway.demo.service.app import PLACES

MARK: Final = "THIS-IS-A-DEMONSTRATION"
LAST_PORT: Final = 65535
DONE, STEP_FAILED, WRONG_USE = 0, 1, 2


def run_demo(state: Path, *, port: int, once: bool, as_json: bool, is_cluster: bool = False) -> int:
    """Run the loop on one plain gateway or on a cluster, and return the exit code."""
    name, count = ("cluster", CLUSTER_PORTS) if is_cluster else ("demo", PORTS)
    stream = sys.stderr if as_json else sys.stdout

    def print_line(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    if not 1024 <= port <= LAST_PORT - count + 1:
        print_line(
            f"report-abuse-gateway {name}: --port is the first of {count} consecutive ports, from 1024 to "
            f"{LAST_PORT - count + 1}."
        )
        return WRONG_USE
    try:
        folder = _claim_folder(state)
    except DemoError as error:
        print_line(f"report-abuse-gateway {name}: {error}")
        return WRONG_USE
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    loop = Loop(folder, port=port, site=Cluster(Ports(port)) if is_cluster else None)
    try:
        check_ports_are_free(loop.list_ports())
    except DemoError as error:
        print_line(f"failed: step 'keys': {error}")
        loop.stop()
        return STEP_FAILED
    _empty_folder(folder)
    try:
        result = run_steps(loop, print_line)
        if as_json:
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
        if not once:
            loop.start_collecting()
            _print_addresses(loop, print_line)
            signal.pause()
    except DemoError as error:
        print_line(f"failed: {error}")
        return STEP_FAILED
    except KeyboardInterrupt:
        print_line("stopping")
    finally:
        loop.stop()
    return DONE


def run_steps(loop: Loop, print_line: Callable[[str], None]) -> dict[str, Any]:
    """Run every step in order and return the results; the `DemoError` of a failing step names it."""
    start = time.monotonic()
    steps = _Steps(print_line)
    quarter = last_closed_quarter(utc_now())
    steps.take("servers", loop.start_servers)
    steps.take("keys", loop.make_keys)
    steps.take("gateway", loop.start_gateway)
    steps.take("desk", loop.start_desk)
    steps.take("publish", loop.publish)
    steps.take("police", loop.enrol_police)
    steps.take("enrol", lambda: loop.enrol_partner(places=PLACES, others=[POLICE_ID]))
    steps.take("service", loop.start_service)
    buttons = steps.take(
        "button", loop.file_button_checks, "the button is as agreed on {} pages, and the desk has the results"
    )
    public = steps.take("public report", loop.file_public_report, "the form was sent, and its number is {}")
    sent = steps.take(
        "industry report",
        lambda: loop.submit_industry_report(_fill_in_report(loop.folder)),
        "the SDK sealed, signed and sent it: receipt {}",
    )
    verified = steps.take("receipt", lambda: loop.verify_receipt(sent["report_id"]), "the receipt verifies offline")
    steps.take("collect", loop.collect, "the desk collected and verified {} reports")
    # Reports that a visitor types into the form meanwhile stay open.
    mine = (public, sent["reference"])
    opened = steps.take("assess", lambda: loop.open_and_assess(mine), "the desk opened and assessed {} cases")
    replied = steps.take(
        "reply", lambda: loop.reply_to_child(public), "the desk replied; with number and words the person read: {}"
    )
    package = steps.take(
        "package",
        lambda: loop.release_package(sent["reference"]),
        "two people signed package {} for the police",
    )
    asked = steps.take(
        "request", lambda: loop.ask_partner(sent["reference"]), "the desk asked the service by request {}"
    )
    is_taken, is_answered = steps.take(
        "answers",
        lambda: loop.take_answers(package=package, request_id=asked),
        "the police acknowledged the package by name, and the service answered the request",
    )
    steps.take("close", lambda: loop.close_cases(mine), "the desk closed {} cases")
    digest_id = steps.take(
        "digest", lambda: loop.publish_digest(quarter), f"the desk released the digest of {quarter}: {{}}"
    )
    pulled = steps.take("pull", lambda: loop.pull_digest(quarter), "the partner pulled, verified and opened it")
    return {
        "buttons_pass": buttons,
        "public_reference": public,
        "industry_reference": sent["reference"],
        "reply_read": bool(replied),
        "package_acknowledged": is_taken,
        "request_answered": is_answered,
        "digest_id": digest_id,
        "desk_opened": opened,
        "receipt_verified": verified,
        "digest_opened": (pulled["digest"]["partner"], pulled["digest"]["period"]) == (PARTNER_ID, quarter),
        "seconds": round(time.monotonic() - start, 1),
    }


def _fill_in_report(folder: Path) -> Path:
    """Write the SDK's example with changed texts, because no live agency accepts it unchanged."""
    report = json.loads((files("partner_sdk") / "examples" / "report.json").read_bytes())
    report["incident"]["narrative"] = "Synthetic, for the demonstration. An adult account wrote to a child. [message]"
    path = folder / "report.json"
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return path


def last_closed_quarter(now: datetime) -> str:
    """Return the last completed quarter, e.g. `2026-Q3`."""
    quarter = (now.month - 1) // 3
    return f"{now.year}-Q{quarter}" if quarter else f"{now.year - 1}-Q4"


class _Steps:
    """Runs each step, and prints its line."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line

    def take(self, name: str, step: Callable[[], Any], line: str = "{}") -> Any:
        try:
            brought = step()
        except DemoError as error:
            raise DemoError(f"step {name!r}: {error}") from None
        if brought != "":  # a single gateway starts no servers
            shown = brought.get("reference") if isinstance(brought, dict) else brought
            self._print_line(f"{name:>16}  {line.format(shown)}")
        return brought


def _claim_folder(folder: Path) -> Path:
    """Lock the folder for this process; never one that is not a demonstration's."""
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
            raise DemoError(
                f"{folder} is not empty and not from an earlier demonstration. Name another folder with --state."
            )
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        claim = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DemoError(f"{folder} cannot be used ({error.strerror}). Name another folder with --state.") from None
    try:
        # Held until the process ends, so that a second demonstration cannot empty the folder of a running one.
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        raise DemoError(
            f"A demonstration is running in {folder}. Stop it, or name another folder with --state."
        ) from None
    return folder.resolve()


def _empty_folder(folder: Path) -> None:
    """Remove the files of an earlier demonstration."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()


def _print_addresses(loop: Loop, print_line: Callable[[str], None]) -> None:
    print_line("")
    print_line(f"the form             {loop.origin}/")
    print_line(f"the industry door    {loop.origin}/v1/status")
    print_line(f"the feed             {loop.site.feed_origin}/health")
    print_line(f"a service's pages    {loop.service}/")
    print_line("")
    print_line("The desk signs each of these in once, within ten minutes, each in a private window of its own:")
    links = loop.make_start_links(*PEOPLE)
    for person, (_, role) in PEOPLE.items():
        print_line(f"{role:<20} {links[person]}")
    print_line("")
    print_line(f"A report from the form is in the desk's list of cases {COLLECT_SECONDS} seconds later.")
    print_line("Press Ctrl-C to stop.")
