"""Every answer under `/v1` says whether it is in earnest: `live`, or `sandbox; NOT A REPORT` (WIRE.md §10).

Also problems, and what no route answers: nobody may take a rehearsal for a report.
"""

from flask import Flask, Response, request

from partner_sdk.wire.keys import Environment
from partner_sdk.wire.problems import ENVIRONMENT_HEADER, format_environment

PREFIX = "/v1"


def apply_environment_header(app: Flask, *, environment: Environment) -> None:
    """Send the header with every answer of `app` under the prefix of partners."""
    value = format_environment(environment)

    def add(response: Response) -> Response:
        if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
            response.headers[ENVIRONMENT_HEADER] = value
        return response

    app.after_request(add)
