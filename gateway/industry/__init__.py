"""The industry door: online services submit sealed reports over `/v1` and read back their own data.

Never opens an envelope, and never accepts a key that is not in the agency's register.
"""

from flask import Blueprint, Flask

from gateway.industry.evidence import get_evidence, post_evidence_complete, put_evidence_part
from gateway.industry.mailbox import (
    get_mailbox,
    post_account,
    post_adoption,
    post_enrol,
    post_mailbox_ack,
    post_mailbox_entry,
)
from gateway.industry.reports import get_report, post_report
from gateway.industry.service import (
    TEMPLATES,
    get_docs,
    get_docs_file,
    get_keys,
    get_log_file,
    get_mailbox_schema,
    get_openapi,
    get_schema,
    get_status,
)
from gateway.refusals import register_refusals
from gateway.signed_request import check_path
from gateway.wiring import Gateway

# Each view has a description beside its rule (`describe`), from which the OpenAPI document is made.
ROUTES = (
    ("GET", "/v1/status", get_status),
    ("GET", "/v1/keys", get_keys),
    ("GET", "/v1/schema/report.json", get_schema),
    ("GET", "/v1/schema/mailbox.json", get_mailbox_schema),
    ("POST", "/v1/enrol", post_enrol),
    ("POST", "/v1/account", post_account),
    ("POST", "/v1/adoption", post_adoption),
    ("POST", "/v1/reports", post_report),
    ("GET", "/v1/reports/<report_id>", get_report),
    ("PUT", "/v1/evidence/<evidence_id>/<part>", put_evidence_part),
    ("GET", "/v1/evidence/<evidence_id>", get_evidence),
    ("POST", "/v1/evidence/<evidence_id>/complete", post_evidence_complete),
    ("GET", "/v1/mailbox", get_mailbox),
    ("POST", "/v1/mailbox/<message_id>/ack", post_mailbox_ack),
    ("POST", "/v1/mailbox/<message_id>/entries", post_mailbox_entry),
    ("GET", "/v1/openapi.json", get_openapi),
    ("GET", "/v1/docs", get_docs),
    ("GET", "/v1/docs/<name>", get_docs_file),
)
# Files of the public log, for anyone: not a partner's call.
LOG_ROUTE = ("GET", "/log/<path:path>", get_log_file)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/v1` and the public log to an app; views read the gateway from the app."""
    blueprint = Blueprint("industry", __name__, template_folder=str(TEMPLATES))
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in (*ROUTES, LOG_ROUTE):
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)
