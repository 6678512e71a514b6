"""The feed: the desk's private door. The desk polls it and pushes signed or sealed data; the desk takes no calls.

Never accepts a key other than the feed key in `agency.pin`, and never runs in a process that the internet can reach.
"""

from flask import Blueprint, Flask

from gateway.feed.calls import (
    get_anchors,
    get_log_file,
    get_reconciliation,
    get_status,
    post_invitations,
    post_stages,
    put_list,
)
from gateway.feed.items import get_evidence_part, get_items, post_acknowledgements, post_items
from gateway.refusals import register_refusals
from gateway.signed_request import check_path
from gateway.wiring import Gateway

ROUTES = (
    ("GET", "/feed/status", get_status),
    ("GET", "/feed/items/<kind>", get_items),
    ("POST", "/feed/items/<kind>", post_items),
    ("POST", "/feed/acknowledgements", post_acknowledgements),
    ("GET", "/feed/evidence/<partner>/<evidence_id>/<part>", get_evidence_part),
    ("GET", "/feed/reconciliation", get_reconciliation),
    ("GET", "/feed/log/<path:path>", get_log_file),
    ("PUT", "/feed/lists/<name>", put_list),
    ("GET", "/feed/anchors", get_anchors),
    ("POST", "/feed/invitations", post_invitations),
    ("POST", "/feed/stages", post_stages),
)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/feed` to an app; views read the gateway from the app."""
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in ROUTES:
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)
