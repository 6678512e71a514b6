"""The button's snippet, filled in as a service would: the agency's address and the id of one placement."""

from importlib.resources import files


def make_snippet(origin: str, *, placement: str = "example-chat") -> str:
    """Return the HTML of `widget/report-abuse-button.html` for a gateway; both words must be safe inside HTML."""
    snippet = files("widget").joinpath("report-abuse-button.html").read_text(encoding="utf-8")
    return snippet.replace("GATEWAY", origin).replace("PLACEMENT", placement)
