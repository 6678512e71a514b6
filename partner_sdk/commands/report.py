"""The group `report`: write reports, submit them, follow them, say them in another body's words."""

from partner_sdk.commands import export, new_report, reports, submit
from partner_sdk.commands.frame import CommandGroup


def add_commands(top: CommandGroup) -> None:
    """Add the group `report`, with the commands of its files."""
    report = top.add_group("report")
    for file in (new_report, submit, reports, export):
        file.add_commands(report)
