"""The feed: the desk's private door. It pulls what waits and pushes what it signed or sealed; nobody calls the desk.

Never believes anybody but the key that `agency.pin` names, and never runs in a process that the internet reaches.
"""

from flask import Blueprint, Flask

from gateway.feed.get_account_changes import get_account_changes
from gateway.feed.get_adoption_requests import get_adoption_requests
from gateway.feed.get_enrolments import get_enrolments
from gateway.feed.get_evidence import get_evidence
from gateway.feed.get_evidence_part import get_evidence_part
from gateway.feed.get_reconciliation import get_reconciliation
from gateway.feed.get_reports import get_reports
from gateway.feed.get_status import get_status
from gateway.feed.post_account_change_acks import post_account_change_acks
from gateway.feed.post_acknowledgements import post_acknowledgements, post_withdrawn_acknowledgements
from gateway.feed.post_adoption_acks import post_adoption_acks
from gateway.feed.post_enrolment_acks import post_enrolment_acks
from gateway.feed.post_evidence_acks import post_evidence_acks
from gateway.feed.post_invitations import post_invitations
from gateway.feed.post_mailbox import post_mailbox
from gateway.feed.post_replies import post_replies
from gateway.feed.post_stages import post_stages
from gateway.feed.put_keys import put_keys
from gateway.feed.put_register import put_register
from gateway.refusals import register_refusals
from gateway.signed_request import check_path
from gateway.wiring import Gateway

ROUTES = (
    ("GET", "/feed/status", get_status),
    ("GET", "/feed/reports", get_reports),
    ("POST", "/feed/acknowledgements", post_acknowledgements),
    ("POST", "/feed/acknowledgements/withdrawn", post_withdrawn_acknowledgements),
    ("PUT", "/feed/keys", put_keys),
    ("PUT", "/feed/register", put_register),
    ("POST", "/feed/invitations", post_invitations),
    ("GET", "/feed/enrolments", get_enrolments),
    ("POST", "/feed/enrolment-acks", post_enrolment_acks),
    ("GET", "/feed/account-changes", get_account_changes),
    ("POST", "/feed/account-change-acks", post_account_change_acks),
    ("GET", "/feed/adoption-requests", get_adoption_requests),
    ("POST", "/feed/adoption-acks", post_adoption_acks),
    ("GET", "/feed/evidence", get_evidence),
    ("GET", "/feed/evidence/<partner>/<evidence_id>/<part>", get_evidence_part),
    ("POST", "/feed/evidence-acks", post_evidence_acks),
    ("POST", "/feed/mailbox", post_mailbox),
    ("GET", "/feed/reconciliation", get_reconciliation),
    ("POST", "/feed/stages", post_stages),
    ("POST", "/feed/replies", post_replies),
)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/feed` to an app; views find the gateway in the app."""
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in ROUTES:
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)
