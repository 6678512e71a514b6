"""The header by which every answer under `/v1` says whether it is in earnest (WIRE.md §10)."""

from typing import Final

from partner_sdk.wire.keys import Environment

ENVIRONMENT_HEADER: Final = "Report-Abuse-Environment"
NOT_A_REPORT: Final = "NOT A REPORT"


def spell_environment(environment: Environment) -> str:
    """Return the value of the header: `live`, or `sandbox; NOT A REPORT`."""
    return environment if environment == "live" else f"{environment}; {NOT_A_REPORT}"
