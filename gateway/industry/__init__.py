"""The industry door: online services submit sealed reports over `/v1` and fetch what is theirs.

Never opens an envelope, and never believes a key that the agency's register does not name.
"""

from flask import Blueprint, Flask

from gateway.industry.described import TEMPLATES
from gateway.industry.get_docs import get_docs
from gateway.industry.get_docs_file import get_docs_file
from gateway.industry.get_evidence import get_evidence
from gateway.industry.get_keys import get_keys
from gateway.industry.get_mailbox import get_mailbox
from gateway.industry.get_openapi import get_openapi
from gateway.industry.get_report import get_report
from gateway.industry.get_schema import get_mailbox_schema, get_schema
from gateway.industry.get_status import get_status
from gateway.industry.post_account import post_account
from gateway.industry.post_adoption import post_adoption
from gateway.industry.post_enrol import post_enrol
from gateway.industry.post_evidence_complete import post_evidence_complete
from gateway.industry.post_mailbox_ack import post_mailbox_ack
from gateway.industry.post_report import post_report
from gateway.industry.put_evidence_part import put_evidence_part
from gateway.refusals import register_refusals
from gateway.signed_request import check_path
from gateway.wiring import Gateway

# A view says what it is for beside its rule (`describe`): the description below is made from that.
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
    ("GET", "/v1/openapi.json", get_openapi),
    ("GET", "/v1/docs", get_docs),
    ("GET", "/v1/docs/<name>", get_docs_file),
)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/v1` to an app; views find the gateway in the app."""
    blueprint = Blueprint("industry", __name__, template_folder=str(TEMPLATES))
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in ROUTES:
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)
