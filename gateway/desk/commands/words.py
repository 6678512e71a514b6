"""The first words of `report-abuse-desk`, each with what the help says of it."""

from typing import Final

from partner_sdk.command_table import CommandTable

# A new word is one line.
WORDS: Final = CommandTable(
    room="gateway.desk",
    files={
        "commands.setup": {
            "init": "Make a desk with all its keys, and agency.pin for the gateway.",
            "gateway": "Gateways whose receipts this desk believes.",
            "publish": (
                "Sign key set and register where they changed or are a day old, and publish them through the feed."
            ),
            "doctor": "Say what is right with this desk and what is not.",
            "audit": "The log of who did what.",
        },
        "keyring.commands": {"keys": "The agency's own keys: list, rotate, renew, replace, destroy."},
        "commands.collecting": {
            "collect": (
                "Collect reports and enrolments from the gateway, and send what waits: "
                "for it, for partners, notes and pages."
            ),
            "alarms": (
                "List the alarms that nobody has cleared: gaps, forks, forgeries. Exit code 1 when there are any."
            ),
        },
        "commands.set_aside": {"set-aside": "What did not verify or open: list, open, retry, resolve."},
        "commands.importing": {
            "import": "Take in a sealed report that came as a file (`report-abuse-partner report submit --to-file`)."
        },
        "evidence.commands": {"evidence": "Files that partners handed over: list, save."},
        "partners.commands": {"partner": "Online services that report, and get digests."},
        "placements.commands": {"placement": "Where the button stands: agreements, link ids and checks."},
        "partners.adoption_commands": {"adoption": "Services that ask to show the button."},
        "cases.commands": {"case": "Cases: list, next, show, move, reply, ask, outcome, close."},
        "cases.figures_commands": {
            "figures": "Say how fast reports are read and replies given; counts and times only, nothing is opened."
        },
        "commands.stale_data": {
            "stale-data": (
                "List facts that were checked too long ago (bodies, numbers, hours, words to send); "
                "gives 1 when there are any."
            )
        },
        "sending.commands": {
            "post": "The short notes to people who asked for one: send, list.",
            "alert": "Alerts to the people on duty: list, acknowledge.",
        },
        "digests.commands": {
            "digest": "Digests: make, show, release, reject, list.",
            "synthetic": (
                "File marked, made-up, closed cases about a partner in a past quarter. They have no report behind them."
            ),
        },
        "commands.serving": {
            "serve": "Serve the desk's pages on this machine until Ctrl-C.",
            "start-link": "Print an address that signs one person in to the desk's pages, once, within ten minutes.",
        },
    },
)
