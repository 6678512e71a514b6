"""The demonstration's loop, one method for each step of agency, gateway, partner and police.

People act on the desk's pages; machines and partners run commands. So this file imports neither the desk nor a
partner's keys.

`run_demo` prints each step as it happens, then the addresses, and leaves no process behind.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from html import unescape
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import requests

from gateway.config import utc_now
from gateway.demo.processes import GATEWAY, Cluster, DemoError, Ports, Processes, check_ports_are_free
from gateway.demo.processes import PORTS as CLUSTER_PORTS
from gateway.demo.service import CHAT, PLACES, Place
from gateway.demo.walks import (
    TIMEOUT_SECONDS,
    Answers,
    DeskWalk,
    get_action_id,
    read_button,
    read_replies,
    walk_to_thanks,
)
from partner_sdk.wire.canonical import encode

DESK, PARTNER = "gateway.desk.running.cli", "partner_sdk.cli"
PARTNER_ID: Final = "example-chat"
PARTNER_NAME: Final = "Example Chat"
ADMINISTRATOR: Final = "Alex Administrator"
# The account that runs the demonstration plays several people at once; an agency's desk refuses that.
ALSO: Final = ("analyst", "partner-manager")
# Who signs in to the pages: handle, name and role.
PEOPLE: Final = {
    "a-analyst": ("Amina Analyst", "analyst"),
    "s-supervisor": ("Sam Supervisor", "supervisor"),
    "b-adviser": ("Bronwen Adviser", "adviser"),
    "s-spoc": ("Siân Spoc", "spoc"),
    "a-administrator": (ADMINISTRATOR, "administrator"),
}
ASSESSORS: Final = ("a-analyst", "b-adviser", "a-administrator")
# Each plays their part in the steps; the administrator is the partner manager.
ANALYST, SUPERVISOR, CONTACT_POINT, MANAGER = "a-analyst", "s-supervisor", "s-spoc", "a-administrator"
COLLECT_SECONDS: Final = 2
PORTS: Final = 4
BANNER: Final = "Demonstration. Nothing that you type here reaches anyone. In danger? Call 999."

# Mild and synthetic; placeholders for a child's answers.
ANSWERS: Final[Answers] = {
    "danger": ("no",),
    "age": ("13_15",),
    "who": ("me",),
    "region": ("england",),
    "kinds": ("extra_nice",),
    "story": ("Someone in a game is very nice to me and asks for pictures. [message]",),
    "feels": ("scared",),
    "name": ("Sam",),
    "contact_ways": ("school",),
    "school": ("Ask for Sam at Example School",),
}
CONTACT: Final = """[contact]
telephone = "+44 1632 960000"
email = "desk@agency.example"
"""
CARRIERS: Final = """[carriers]
notes = "on"
mail = "folder"
mail_from = "hello@team.example"
mail_name = "The team"
sms = "folder"
sms_sender = "The team"
"""
ESCALATION: Final = """checked_on = 2026-11-28
source = "an example: the agency's own duty plan replaces it"
level = [
  {title = "Duty officer", hours = "always", target = "mailto:duty@team.example", wait_minutes = 5},
  {title = "Supervisor", hours = "always", target = "mailto:supervisor@team.example", wait_minutes = 10},
]
"""
REPLY: Final = "Hello Sam. Thank you for telling us. We will call your school today. [message]"
ASSESSMENT: Final = {
    "immediate_risk": "no",
    "urgent": "no",
    "urgent_dissemination": "no",
    "priority": "P3",
    "best_placed": "harm_reduction",
    "kind": "grooming",
    "age_band": "13_15",
    "assess_reasons": "A stranger asks for pictures in a game. No meeting was named. [message]",
}
CLOSING: Final = {"outcome": "used", "weakness": "open_direct_messages"}
POLICE_ID: Final = "example-police"
POLICE_NAME: Final = "Example Police"
OFFICER: Final = "Sergeant Anna Example"
# A body of this agency's own: the forces of the register are real, and agreed nothing with an example.
DESTINATION: Final = f"""
[example_police]
name = "{POLICE_NAME}"
group = "police"
takes = ["package", "crisis"]
nations = ["england"]
channel = "mailbox"
contact = "nobody: it is an example"
partner = "{POLICE_ID}"
checked_on = 2026-11-28
source = "the demonstration"

[example_police.protocol]
version = "1.0"
agreed_on = 2026-11-28
review_on = 2036-11-28
may_pass = ["packages"]
"""
# On the page of a package that was acknowledged.
TAKEN: Final = "<dt>Acknowledged</dt>"
# On the page of a request that was answered.
ANSWERED: Final = "Answered"
# Mild and synthetic; the fields of the desk's forms.
REQUEST: Final[dict[str, str]] = {
    "kind": "information-request",
    "recipient": PARTNER_ID,
    "law": "own_report",
    "question": "When did the account write to the child first? [message]",
    "purpose": "To find out who uses the account.",
    "necessity": "Nobody else knows the day.",
}
PACKAGE: Final[dict[str, str]] = {
    "kind": "package",
    "destination": "example_police",
    "why": "The account is in their area.",
    "title": "An adult account wrote to a child",
    "summary": "Please find out who uses the account. [message]",
    "legal": "nca_disclosure",
    "necessity": "Only police can find out who it is.",
    "handling": "official_sensitive",
    "officer": "a-analyst",
    "officer_telephone": "0000 000",
    "evidence_as": "by_reference",
    "reporter": "left_out",
}
# A row of the list of cases, and the invitation on its page.
_CASE: Final = re.compile(r'href="/cases/([0-9a-f-]{36})[^"]*"[^>]*>([0-9A-Z]{4}-[0-9A-Z]{5}-.)</a>')
_INVITATION: Final = re.compile(r'<pre class="to-copy"[^>]*>(.+?)</pre>', re.DOTALL)


class OneMachine:
    """One gateway over plain HTTP, with its database in its own folder."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.origin = f"http://127.0.0.1:{ports.gateway}"
        self.feed_origin = f"http://127.0.0.1:{ports.feed}"

    def list_ports(self) -> list[int]:
        """Return the ports of the doors and of the feed."""
        return [self._ports.gateway, self._ports.feed]

    def start_servers(self, processes: Processes) -> str:
        """Start nothing: the gateway needs no other server."""
        return ""

    def list_init_options(self) -> tuple[str, ...]:
        """Return the ports of both listeners."""
        return ("--port", str(self._ports.gateway), "--feed-port", str(self._ports.feed))

    def list_desk_options(self) -> tuple[str, ...]:
        """Return nothing: the desk's database is in its folder."""
        return ()

    def start_gateway(self, processes: Processes, *, state: Path) -> str:
        """Start the gateway's listeners."""
        processes.start("gateway", GATEWAY, "serve", "--state", str(state))
        processes.wait_for(f"{self.origin}/health")
        processes.wait_for(f"{self.feed_origin}/health")
        return f"the gateway serves on {self._ports.gateway}, the feed on {self._ports.feed}"

    def close(self) -> None:
        """Remove nothing: everything is in the loop's folder."""


Site = OneMachine | Cluster
"""The gateway's side of a loop: its addresses, its servers, and how it is made and started."""


class Loop:
    """One agency, one gateway and one partner under one folder. `on_page` is called with the form's page headings."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        on_page: Callable[[str], None] = lambda _: None,
        site: Site | None = None,
    ) -> None:
        self.folder = folder
        self.ports = Ports(port)
        self.site: Site = OneMachine(self.ports) if site is None else site
        self.gateway_state, self.desk_state, self.partner_state, self.police_state = (
            folder / name for name in ("gateway", "desk", "partner", "police")
        )
        self._on_page = on_page
        self.return_words = ""
        self.case_ids: dict[str, str] = {}  # by their references, since `collect`
        self._people: dict[str, DeskWalk] = {}
        self.processes = Processes(folder / "logs")

    @property
    def origin(self) -> str:
        """The gateway's public origin."""
        return self.site.origin

    @property
    def service(self) -> str:
        """The example service's origin."""
        return f"http://127.0.0.1:{self.ports.service}"

    def list_ports(self) -> list[int]:
        """Return every port that the loop listens on."""
        return [*self.site.list_ports(), self.ports.desk, self.ports.service]

    def start_servers(self) -> str:
        """Start everything that the gateway stands on."""
        check_ports_are_free(self.list_ports())
        return self.site.start_servers(self.processes)

    def make_keys(self) -> str:
        """Make the desk's keys and the gateway with its pin, and add the gateway to the desk."""
        addresses = ("--gateway-origin", self.origin, "--feed", self.site.feed_origin)
        self.run_desk("init", *addresses, *self.site.list_desk_options(), "--name", ADMINISTRATOR)
        self._write_settings()
        for name, role in PEOPLE.values():
            if name != ADMINISTRATOR:
                self.run_desk("people", "add", name, "--role", role)
        self.run_desk("people", "grant", MANAGER, *ALSO)
        until = (utc_now().date() + timedelta(days=365)).isoformat()
        self.run_desk("people", "authority", *ASSESSORS, "risk-assessment", "--until", until)
        self.processes.run(
            GATEWAY, "init", "--state", str(self.gateway_state), "--pin", str(self.desk_state / "agency.pin"),
            "--origin", self.origin, "--agency-name", "The example agency", "--banner", BANNER,
            *self.site.list_init_options(),
        )  # fmt: skip
        self.run_desk("gateway", "add", str(self.gateway_state / "gateway.card"))
        return "the desk made the agency's keys, the gateway its receipt key"

    def _write_settings(self) -> None:
        """Make the desk a demonstration's, whose notes and alerts go to a folder, so that it contacts no one."""
        settings = self.desk_state / "desk.toml"
        before, _, _ = settings.read_text(encoding="utf-8").partition("\n[carriers]\n")
        folder = json.dumps(str((self.folder / "sent-notes").resolve()))  # a JSON string is a TOML string
        before = before.replace("demonstration = false", "demonstration = true")
        settings.write_text(f"{before}\n{CONTACT}\n{CARRIERS}folder = {folder}\n", encoding="utf-8")
        (self.desk_state / "escalation.toml").write_text(ESCALATION, encoding="utf-8")
        (self.desk_state / "destinations.toml").write_text(DESTINATION, encoding="utf-8")

    def start_gateway(self) -> str:
        """Start the gateway's listeners."""
        return self.site.start_gateway(self.processes, state=self.gateway_state)

    def start_desk(self) -> str:
        """Start the desk's pages, and sign in those who act on them."""
        self.processes.start("desk", DESK, "serve", "--state", str(self.desk_state), "--port", str(self.ports.desk))
        self.processes.wait_for(f"http://127.0.0.1:{self.ports.desk}/health")
        links = self.make_start_links(ANALYST, SUPERVISOR, CONTACT_POINT, MANAGER)
        self._people = {person: DeskWalk(link) for person, link in links.items()}
        return f"the desk's pages are on {self.ports.desk}"

    def publish(self) -> str:
        """Publish the first key set and register through the feed."""
        self._people[MANAGER].send("/partners", "/partners/publish")
        return "the desk signed its key set and published it through the feed"

    def invite_partner(self, partner: str, *, name: str, state: Path, **kind: str) -> None:
        """Invite a partner on the desk's page, and enrol it with its own command into the folder `state`."""
        page = self._people[MANAGER].show("/partners", "/partners", partner=partner, name=name, **kind)
        found = _INVITATION.search(page)
        if found is None:
            raise DemoError(f"The desk made no invitation for {partner}.")
        invitation = self.folder / f"{partner}.invitation"
        invitation.write_text(unescape(found[1]), encoding="utf-8")
        self.processes.run(PARTNER, "enrol", str(invitation), "--state", str(state))

    def enrol_police(self) -> str:
        """Invite and enrol the example force, for `enrol_partner` to approve."""
        self.invite_partner(POLICE_ID, name=POLICE_NAME, state=self.police_state, type="police", country="GB")
        return f"{POLICE_NAME} enrolled by invitation, and the desk agreed to send packages to its mailbox"

    def enrol_partner(self, *, places: Sequence[Place] = (), others: Sequence[str] = ()) -> str:
        """Invite the example partner, enrol it, agree places of the button, and approve it, with others that wait."""
        manager = self._people[MANAGER]
        self.invite_partner(PARTNER_ID, name=PARTNER_NAME, state=self.partner_state)
        for one in places:
            manager.send(
                *("/placements/new", "/placements/new"), new_owner=PARTNER_ID, new_owner_name=PARTNER_NAME,
                service=PARTNER_NAME, surface=one.surface, address=f"{self.service}{one.path}",
                position=one.position, link_id=one.placement,
            )  # fmt: skip
        self.run_desk("collect")
        for partner in (PARTNER_ID, *others):
            page = f"/partners/{partner}"
            manager.send(page, f"{page}/approve", read_aloud="yes")
        return (
            f"{PARTNER_NAME} enrolled by invitation; the desk agreed {len(places)} places of the button and approved it"
        )

    def start_service(self) -> str:
        """Start the example service in the partner's folder."""
        self.processes.start(
            "service", "gateway.demo.service", "--port", str(self.ports.service), "--origin", self.origin,
            "--partner-state", str(self.partner_state),
        )  # fmt: skip
        self.processes.wait_for(f"{self.service}{CHAT.path}")
        return f"an example service is on {self.ports.service}, with the button on each of its pages"

    def file_button_checks(self) -> int:
        """Check the button of every page as the partner, and post the results to the desk; returns how many pass."""
        found = [
            self.run_partner("button", "check", f"{self.service}{one.path}", "--placement", one.placement, "--json")
            for one in PLACES
        ]
        token = json.loads(self.run_desk("placement", "runner-token", "--json"))["token"]
        posted = requests.post(
            f"http://127.0.0.1:{self.ports.desk}/placement-checks",
            data=encode({"checks": found}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )
        if posted.status_code != HTTPStatus.NO_CONTENT:
            raise DemoError(f"The desk answered {posted.status_code} to the checks of the button.")
        return len([one for one in found if one["result"] == "passes"])

    def file_public_report(self) -> str:
        """Fill in the real form, starting at the button on the service's chat page; returns the reference."""
        entry = read_button(f"{self.service}{CHAT.path}", origin=self.origin)
        thanks = walk_to_thanks(self.origin, ANSWERS, entry=entry, on_page=self._on_page)
        self.return_words = thanks.words
        return thanks.reference

    def submit_industry_report(self, file: Path) -> dict[str, Any]:
        """Submit a report file through the SDK and verify the receipt offline; returns the command's output."""
        sent: dict[str, Any] = self.run_partner("report", "submit", str(file), "--priority", "P2")
        return sent

    def verify_receipt(self, report_id: str) -> bool:
        """Verify the saved receipt with the partner's files only."""
        file = self.partner_state / "receipts" / f"{report_id}.json"
        self.run_partner("receipt", "verify", str(file))
        return True

    def collect(self) -> int:
        """Collect at the desk; returns the number of open cases."""
        self.run_desk("collect")
        found = _CASE.findall(self._people[ANALYST].read("/"))
        self.case_ids = {reference: case_id for case_id, reference in found}
        return len(self.case_ids)

    def start_collecting(self) -> None:
        """Keep the desk collecting, so that new reports from the form reach its queue."""
        every = ("--every", str(COLLECT_SECONDS))
        self.processes.start("collect", DESK, "collect", *every, *self._desk_options())

    def _page_of(self, reference: str) -> str:
        if reference not in self.case_ids:
            raise DemoError(f"The desk's list of cases does not name {reference}.")
        return f"/cases/{self.case_ids[reference]}"

    def open_and_assess(self, references: Collection[str]) -> int:
        """Take, open and assess only these cases; returns their number."""
        analyst = self._people[ANALYST]
        for page in map(self._page_of, references):
            analyst.send(page, f"{page}/claim")
            analyst.send(analyst.show(page, f"{page}/read"), f"{page}/assess", **ASSESSMENT)
        return len(references)

    def reply_to_child(self, reference: str) -> str:
        """Answer an opened case as the desk, return as the person with number and words; returns the text they read."""
        analyst, page = self._people[ANALYST], self._page_of(reference)
        reply = {"reply_text": REPLY, "counts": "yes", "counts_reason": "The child asked to read it here."}
        opened = analyst.show(page, f"{page}/read")
        previewed = analyst.show(opened, f"{page}/reply/preview", **reply)
        analyst.send(previewed, f"{page}/reply/send", **reply)
        self.run_desk("collect")
        said = read_replies(self.origin, reference=reference, words=self.return_words)
        if said != [REPLY]:
            raise DemoError("The person who came back does not see the desk's reply.")
        return said[0]

    def release_package(self, reference: str) -> str:
        """Make a package of a case as an analyst, and sign it as a supervisor; returns its id."""
        page, content = self._page_of(reference), {**PACKAGE, "reports": self.case_ids[reference]}
        analyst = self._people[ANALYST]
        previewed = analyst.show(page, f"{page}/package/preview", **content)
        package = get_action_id(analyst.send(previewed, f"{page}/package/draft", **content))
        self._people[SUPERVISOR].sign(f"/actions/{package}", "release", after="read")
        return package

    def ask_partner(self, reference: str) -> str:
        """Ask the partner about its report as the single point of contact; returns the id of the request."""
        page = f"{self._page_of(reference)}/ask"
        return get_action_id(self._people[CONTACT_POINT].send(page, page, **REQUEST))

    def take_answers(self, *, package: str, request_id: str) -> tuple[bool, bool]:
        """Send both, and answer as their recipients; returns whether the desk shows either answer."""
        taken, answered = self.folder / "taken.json", self.folder / "answer.json"
        taken.write_text(json.dumps({"kind": "acknowledge", "by": OFFICER}), encoding="utf-8")
        answer = {"kind": "answer", "by": "Trust and Safety", "text": "On the first of November. [message]"}
        answered.write_text(json.dumps(answer), encoding="utf-8")
        self.run_desk("collect")
        police = ("--state", str(self.police_state))
        self.processes.run(PARTNER, "thread", "open", package, "--out", str(self.folder / "police-package"), *police)
        self.processes.run(PARTNER, "thread", "write", package, str(taken), *police)
        self.run_partner("thread", "write", request_id, str(answered))
        self.run_desk("collect")
        is_taken = TAKEN in self._people[ANALYST].read(f"/actions/{package}")
        return is_taken, ANSWERED in self._people[CONTACT_POINT].read(f"/actions/{request_id}")

    def close_cases(self, references: Collection[str]) -> int:
        """Close only these cases; returns their number."""
        for page in map(self._page_of, references):
            self._people[ANALYST].send(page, f"{page}/close", **CLOSING)
        return len(references)

    def publish_digest(self, quarter: str) -> str:
        """Make the digest of a past quarter, in which this desk had no reports, and release it; returns its id."""
        page = self._people[MANAGER].send("/digests", "/digests", partner=PARTNER_ID, quarter=quarter, adopted="yes")
        self._people[SUPERVISOR].sign(page, "release")
        return page.removeprefix("/digests/")

    def pull_digest(self, quarter: str) -> dict[str, Any]:
        """Pull, verify and open the digest as the partner; returns the digest from the command's output."""
        pulled: dict[str, Any] = self.run_partner("digest", "--quarter", quarter)
        return pulled

    def make_start_links(self, *people: str) -> dict[str, str]:
        """Return a one-time address for each person at the desk's pages."""
        made = json.loads(self.run_desk("people", "link", *people, "--port", str(self.ports.desk), "--json"))
        return dict(made["addresses"])

    def run_desk(self, *arguments: str) -> str:
        """Run a command of the desk and return its output."""
        return self.processes.run(DESK, *arguments, *self._desk_options())

    def _desk_options(self) -> tuple[str, ...]:
        return ("--state", str(self.desk_state))

    def run_partner(self, *arguments: str) -> Any:
        """Run a command of the partner and return the object that it prints."""
        output = self.processes.run(PARTNER, *arguments, "--state", str(self.partner_state))
        return json.loads(output)

    def stop(self) -> None:
        """End every session and process."""
        for person in self._people.values():
            person.close()
        self.processes.stop()
        self.site.close()


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
