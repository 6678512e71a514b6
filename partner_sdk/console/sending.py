"""Sending of a sealed report, and the page to go on to."""

from flask.typing import ResponseReturnValue

from partner_sdk.console.page import describe_error, go_to, note_act, open_partner
from partner_sdk.errors import ReportAbuseError


def deliver(report_id: str) -> ResponseReturnValue:
    """Send one sealed report and show its receipt, or that it waits."""
    try:
        with open_partner() as partner:
            partner.deliver(report_id)
    except ReportAbuseError as error:
        return go_to("sent.get_report", report_id=report_id, notice=f"Not delivered: {describe_error(error).title}")
    note_act("report-delivered", about=report_id)
    return go_to("sent.get_report", report_id=report_id, notice="Delivered. The agency has it.")
