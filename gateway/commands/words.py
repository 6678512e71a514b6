"""The first words of `report-abuse-gateway`, each with what the help says of it."""

from typing import Final

from partner_sdk.command_table import CommandTable

# A new word is one line.
WORDS: Final = CommandTable(
    room="gateway.commands",
    files={
        "init": {"init": "Make the state folder of a new gateway."},
        "serve": {"serve": "Serve the configured listeners until SIGTERM or SIGINT."},
        "doctor": {"doctor": "Say what is right with a gateway and what is not."},
        "restored": {
            "restored": (
                "Begin a new epoch of receipts; run it after every restore of the database, "
                "before the gateway serves again."
            )
        },
        "counts": {
            "counts": "List how often each campaign's link was followed and how the form was to fill in, by week."
        },
        "keys": {
            "rotate-receipt-key": "Make the next receipt key, and a card of it for the desk; nothing stops meanwhile.",
            "pin": "Put a new agency.pin in place, such as one with a new feed key.",
        },
        "stale_data": {
            "stale-data": (
                "List facts that were checked too long ago (bodies, numbers, countries, promises); "
                "gives 1 when there are any."
            )
        },
        "demo": {"demo": "Run the demonstration."},
    },
)
