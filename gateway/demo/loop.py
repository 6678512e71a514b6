"""The demonstration's loop, one method for each step of agency, gateway, partner and police.

People act on the desk's pages; machines and partners run commands. So this file imports neither the desk nor a
partner's keys.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import requests

from gateway.clock import utc_now
from gateway.demo.cluster import Cluster
from gateway.demo.processes import GATEWAY, DemoError, Ports, Processes, check_ports_are_free
from gateway.demo.service.app import CHAT, PLACES, Place
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

DESK, PARTNER = "gateway.desk.cli", "partner_sdk.cli"
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
TAKEN: Final = "Taken there"
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
        self._people[SUPERVISOR].sign(f"/packages/{package}", "release", after="read")
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
        is_taken = TAKEN in self._people[ANALYST].read(f"/packages/{package}")
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
