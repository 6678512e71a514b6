"""The demonstration's loop, one method for each step of agency, gateway and partner.

Everything runs through commands and HTTP, so this file imports neither the desk nor the partner's keys.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.demo.desk_walk import DeskWalk
from gateway.demo.form_walk import Answers, FormWalkError, read_button, read_replies, walk_to_thanks
from gateway.demo.processes import DemoError, Processes, check_ports_are_free
from gateway.demo.service.app import CHAT, PLACES, Place
from gateway.wiring import utc_now
from partner_sdk.button.well_known import PATH
from partner_sdk.wire.canonical import encode

GATEWAY, DESK, PARTNER = "gateway.cli", "gateway.desk.cli", "partner_sdk.cli"
PARTNER_ID: Final = "example-chat"
PARTNER_NAME: Final = "Example Chat"
ADMINISTRATOR: Final = "Alex Administrator"
# The account that runs the demonstration plays several people at once; an agency's desk refuses that.
ALSO: Final = ("analyst", "partner-manager")
# Who signs in to the pages: handle and role. The second releases the digest that the first person made.
PEOPLE: Final = {
    "a-analyst": ("Amina Analyst", "analyst"),
    "s-supervisor": ("Sam Supervisor", "supervisor"),
    "b-adviser": ("Bronwen Adviser", "adviser"),
    "s-spoc": ("Siân Spoc", "spoc"),
    "a-administrator": (ADMINISTRATOR, "administrator"),
}
ASSESSORS: Final = ("a-analyst", "b-adviser", "a-administrator")
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
LADDER: Final = """checked_on = 2026-11-28
source = "an example: the agency's own duty plan replaces it"
rung = [
  {title = "Duty officer", hours = "always", target = "mailto:duty@team.example", wait_minutes = 5},
  {title = "Supervisor", hours = "always", target = "mailto:supervisor@team.example", wait_minutes = 10},
]
"""
REPLY: Final = "Hello Sam. Thank you for telling us. We will call your school today. [message]"
ASSESSMENT: Final = (
    *("--immediate-risk", "no", "--urgent", "no", "--urgent-dissemination", "no", "--priority", "P3"),
    *("--best-placed", "harm_reduction", "--kind", "grooming", "--age-band", "13_15"),
)
REASONS: Final = "A stranger asks for pictures in a game. No meeting was named. [message]"
CLOSING: Final = ("--outcome", "used", "--weakness", "open_direct_messages")


@dataclass(frozen=True, slots=True)
class Ports:
    """Four consecutive ports."""

    first: int

    @property
    def gateway(self) -> int:
        """The public and industry doors."""
        return self.first

    @property
    def feed(self) -> int:
        """The feed."""
        return self.first + 1

    @property
    def desk(self) -> int:
        """The desk's pages."""
        return self.first + 2

    @property
    def service(self) -> int:
        """The example service."""
        return self.first + 3


def make_agreement(place: Place, *, service: str) -> tuple[str, ...]:
    """Return the desk's command to agree one place of the example service."""
    return (
        *("placement", "agree", "--owner", PARTNER_ID, "--service", PARTNER_NAME, "--surface", place.surface),
        *("--address", f"{service}{place.path}", "--position", place.position, "--link-id", place.placement),
    )


class Site(Protocol):
    """The gateway's side of a loop: its addresses, its servers, and how it is made and started."""

    @property
    def origin(self) -> str:
        """The gateway's public origin."""

    @property
    def feed_origin(self) -> str:
        """The feed's origin."""

    def list_ports(self) -> list[int]:
        """Return the ports that its own processes listen on."""

    def start_servers(self, processes: Processes) -> str:
        """Start the servers that the gateway needs; returns their description, empty for none."""

    def list_init_options(self) -> tuple[str, ...]:
        """Return the options of `report-abuse-gateway init`, beyond those of every loop."""

    def list_desk_options(self) -> tuple[str, ...]:
        """Return the options of `report-abuse-desk init`, beyond those of every loop."""

    def start_gateway(self, processes: Processes, *, state: Path) -> str:
        """Start the gateway of the state folder `state`; returns a line with its addresses."""

    def close(self) -> None:
        """Remove the data of its servers; call it when they have stopped."""


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
        self.gateway_state, self.desk_state, self.partner_state = (
            folder / name for name in ("gateway", "desk", "partner")
        )
        self._on_page = on_page
        self.return_words = ""
        self.case_ids: dict[str, str] = {}  # by their references, since `collect`
        self._signed_in: dict[str, DeskWalk] = {}
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
        new = [(name, role) for name, role in PEOPLE.values() if name != ADMINISTRATOR]
        adding = [(DESK, "people", "add", name, "--role", role, *self._desk_options()) for name, role in new]
        adding.append((DESK, "people", "grant", "a-administrator", *ALSO, *self._desk_options()))
        self.processes.run_together(adding)
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
        (self.desk_state / "ladder.toml").write_text(LADDER, encoding="utf-8")

    def start_gateway(self) -> str:
        """Start the gateway's listeners."""
        return self.site.start_gateway(self.processes, state=self.gateway_state)

    def publish(self) -> str:
        """Publish the first key set and register through the feed."""
        self.run_desk("publish")
        return "the desk signed its key set and published it through the feed"

    def start_desk(self) -> str:
        """Start the desk's pages."""
        self.processes.start("desk", DESK, "serve", "--state", str(self.desk_state), "--port", str(self.ports.desk))
        return f"the desk's pages are on {self.ports.desk}"

    def enrol_partner(self, *, places: Sequence[Place] = (), others: Sequence[str] = ()) -> str:
        """Invite the example partner, enrol it, agree places of the button, and approve it, with others that wait."""
        invitation = self.folder / "example-chat.invitation"
        self.run_desk("partner", "invite", PARTNER_NAME, "--partner", PARTNER_ID, "--out", str(invitation))
        enrol = (PARTNER, "enrol", str(invitation), "--state", str(self.partner_state))
        agreements = [(DESK, *make_agreement(one, service=self.service), *self._desk_options()) for one in places]
        self.processes.run_together([enrol, *agreements])
        self.run_desk("collect")
        for partner in (PARTNER_ID, *others):
            self.run_desk("partner", "approve", partner)
        return (
            f"{PARTNER_NAME} enrolled by invitation; the desk agreed {len(places)} places of the button and approved it"
        )

    def start_service(self) -> str:
        """Start the example service in the partner's folder, and wait for it and the desk's pages."""
        self.processes.start(
            "service", "gateway.demo.service", "--port", str(self.ports.service), "--origin", self.origin,
            "--partner-state", str(self.partner_state),
        )  # fmt: skip
        self.processes.wait_for(f"http://127.0.0.1:{self.ports.desk}/health")
        self.processes.wait_for(f"{self.service}{PATH}")
        return f"an example service is on {self.ports.service}, with the button on each of its pages"

    def file_button_checks(self) -> int:
        """Check the button of every page as the partner, and file the results at the desk; returns how many pass."""
        commands = [
            (PARTNER, "button", "check", f"{self.service}{one.path}", "--placement", one.placement, "--json")
            for one in PLACES
        ]
        where = ("--state", str(self.partner_state))
        found = [json.loads(said) for said in self.processes.run_together([(*one, *where) for one in commands])]
        file = self.folder / "button-checks.json"
        file.write_bytes(encode({"checks": found}))
        self.run_desk("placement", "import-checks", str(file))
        return len([one for one in found if one["result"] == "passes"])

    def file_public_report(self) -> str:
        """Fill in the real form, starting at the button on the service's chat page; returns the reference."""
        try:
            entry = read_button(f"{self.service}{CHAT.path}", origin=self.origin)
            thanks = walk_to_thanks(self.origin, ANSWERS, entry=entry, on_page=self._on_page)
        except FormWalkError as error:
            raise DemoError(str(error)) from None
        self.return_words = thanks.words
        return thanks.reference

    def reply_to_child(self, reference: str) -> str:
        """Answer an opened case as the desk, return as the person with number and words; returns the text they read."""
        text = self.folder / "reply.txt"
        text.write_text(REPLY, encoding="utf-8")
        counts = ("--is-the-reply", "--reason", "The child asked to read it here.")
        self.run_desk("case", "reply", reference, "--text-file", str(text), *counts, "--yes")
        self.run_desk("collect")
        try:
            said = read_replies(self.origin, reference=reference, words=self.return_words)
        except FormWalkError as error:
            raise DemoError(str(error)) from None
        if said != [REPLY]:
            raise DemoError("The person who came back does not see the desk's reply.")
        return said[0]

    def submit_industry_report(self, file: Path) -> dict[str, Any]:
        """Submit a report file through the SDK and verify the receipt offline; returns the command's output."""
        sent: dict[str, Any] = self.run_partner("report", "submit", str(file), "--priority", "P2", "--json")
        return sent

    def verify_receipt(self, report_id: str) -> bool:
        """Verify the saved receipt with the partner's files only."""
        file = self.partner_state / "receipts" / f"{report_id}.json"
        self.run_partner("receipt", "verify", str(file))
        return True

    def collect(self) -> int:
        """Collect at the desk; returns the number of open cases."""
        self.run_desk("collect")
        self.case_ids = {one["reference"]: str(one["case_id"]) for one in self.list_open()}
        return len(self.case_ids)

    def start_collecting(self) -> None:
        """Keep the desk collecting, so that new reports from the form reach its queue."""
        every = ("--every", str(COLLECT_SECONDS))
        self.processes.start("collect", DESK, "collect", *every, *self._desk_options())

    def open_and_assess(self, references: Collection[str]) -> int:
        """Open and assess only these cases; returns their number."""
        reasons = self.folder / "reasons.txt"
        reasons.write_text(REASONS, encoding="utf-8")
        for reference in references:
            self.run_desk("case", "show", reference)
            self.run_desk("case", "assess", reference, *ASSESSMENT, "--reasons-file", str(reasons))
        return len(references)

    def close_cases(self, references: Collection[str]) -> int:
        """Close only these cases; returns their number."""
        cases = [case for case in self.list_open() if case["reference"] in references]
        for case in cases:
            self.run_desk("case", "close", case["reference"], *CLOSING)
        return len(cases)

    def make_start_links(self, *people: str) -> dict[str, str]:
        """Return a one-time address for each person at the desk's pages."""
        made = json.loads(self.run_desk("people", "link", *people, "--port", str(self.ports.desk), "--json"))
        return dict(made["addresses"])

    def sign_in(self, *people: str) -> list[DeskWalk]:
        """Return people at the desk's pages, signed in; they stay until the end. Raises `FormWalkError`."""
        if new := [person for person in people if person not in self._signed_in]:
            self._signed_in |= {person: DeskWalk(link) for person, link in self.make_start_links(*new).items()}
        return [self._signed_in[person] for person in people]

    def run_desk(self, *arguments: str) -> str:
        """Run a command of the desk and return its output."""
        return self.processes.run(DESK, *arguments, *self._desk_options())

    def _desk_options(self) -> tuple[str, ...]:
        return ("--state", str(self.desk_state))

    def run_partner(self, *arguments: str) -> Any:
        """Run a command of the partner; returns the parsed object with `--json`, else None."""
        output = self.processes.run(PARTNER, *arguments, "--state", str(self.partner_state))
        return json.loads(output) if "--json" in arguments else None

    def list_open(self) -> list[dict[str, Any]]:
        """Return the open cases, as the command lists them."""
        listed: dict[str, Any] = json.loads(self.run_desk("case", "list", "--json"))
        cases: list[dict[str, Any]] = listed["cases"]
        return cases

    def stop(self) -> None:
        """End every session and process."""
        for person in self._signed_in.values():
            person.close()
        self.processes.stop()
        self.site.close()
