"""Commands that messages suggest: an operator can paste them."""

import shlex
from typing import Final

import click
from click.core import ParameterSource

PROGRAM: Final = "report-abuse-desk"
DEFAULT_PORT: Final = 8702  # of the pages


def suggest(command: str) -> str:
    """Return a command to paste, e.g. `report-abuse-desk alarms --state desk` for `alarms`.

    It gets the `--state` of the running command; none on a page, or if the environment variable names the folder.
    """
    # Never found by searching output: a text from a partner would turn into a command that is pasted.
    context = click.get_current_context(silent=True)
    call = None if context is None else context.params.get("call")
    if context is None or call is None or context.get_parameter_source("state") is ParameterSource.ENVIRONMENT:
        return f"{PROGRAM} {command}"
    return f"{PROGRAM} {command} --state {shlex.quote(str(call.state))}"
