"""The npm package's components in Chromium, with the development builds of React and Vue, which complain of each fault.

Under a strict policy, once written by the browser alone and once taken over from the HTML of a server.
"""

import json
import time
from pathlib import Path

import pytest

from partner_sdk.button.frameworks import FRAMEWORKS
from partner_sdk.button.snippet import SCRIPT_PATH, make_policy
from tests.sdk.button.button_builders import make_node_package, render
from tests.sdk.renew_button_release import WIDGET
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import Chromium
from tests.widget.button_pages import PLACEMENT
from tests.widget.framework_pages import MODULES, make_react_script
from tests.widget.host_pages import SCRIPT, HostPages, make_page

REACT_EXPORTS = """
export const { Fragment, StrictMode, createElement, useEffect, useState, useSyncExternalStore } = require("react");
export const { createRoot, hydrateRoot } = require("react-dom/client");
"""
START = {
    "react": """
import { StrictMode, createElement, createRoot, hydrateRoot } from "/framework.js";
const tree = createElement(StrictMode, null, createElement(ReportAbuseButton, given));
if (app.firstChild) hydrateRoot(app, tree);
else createRoot(app).render(tree);
""",
    "vue": """
import { createApp, createSSRApp } from "/framework.js";
(app.firstChild ? createSSRApp : createApp)(ReportAbuseButton, given).mount(app);
""",
}
REFUSAL = "This document requires 'TrustedScriptURL' assignment"
DRESSED = "document.querySelector('#app report-abuse-button')?.shadowRoot?.adoptedStyleSheets[0]?.disabled === false"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_component_works_in_the_browser_and_over_the_html_of_a_server(
    framework: str, agency: AgencyDoor, host: HostPages, chromium: Chromium, tmp_path: Path
):
    given = {"origin": agency.url, "placement": PLACEMENT, "language": "cy", "size": 56}
    put_app(host, framework, given)
    file = (framework, f"./{framework}.js")
    (make_node_package(tmp_path) / file[1]).write_bytes((WIDGET / f"{framework}.js").read_bytes())
    (((from_server, *_),),) = render(tmp_path, given, files=[file])
    own = ("default-src 'none'", f"{make_policy(agency.url, form='script', by='host').line} 'self'")
    trusted = (*own, "require-trusted-types-for 'script'", "trusted-types vue")  # Vue makes a policy

    # The browser writes it, and asks for the script.
    assert visit(chromium, put_page(host, "", own), DRESSED) == []
    assert agency.paths == [SCRIPT_PATH]
    # A policy that lets no script be written leaves the plain link, and the app stands.
    refused = visit(chromium, put_page(host, "", trusted), "document.querySelector('#app a svg') !== null")
    assert {REFUSAL in one for one in refused} == {True}
    assert agency.paths == [SCRIPT_PATH]
    # The server wrote it, and the framework takes it over as it is.
    assert visit(chromium, put_page(host, from_server, trusted), DRESSED) == []
    # It asks no second time, not even where it may.
    asked = len(agency.paths)
    assert visit(chromium, put_page(host, from_server, own), DRESSED) == []
    assert agency.paths[asked:] == [SCRIPT_PATH]


def visit(chromium: Chromium, address: str, is_so: str) -> list[str]:
    """Open a page and wait until it is as given; return its complaints. Its one link leads to the form."""
    with chromium.browser.new_context() as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda one: complaints.append(one.text) if one.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # A late script: it names its element a moment after it ran, and a component that takes over is earlier.
        page.route(f"**{SCRIPT_PATH}", lambda route: (time.sleep(0.3), route.continue_()))
        page.goto(address)
        page.wait_for_function("() => window.isStarted")
        page.wait_for_function(f"() => {is_so}")
        assert page.locator("#app a").count() == 1
        assert page.locator("#app a").get_attribute("href").endswith(f"/?from={PLACEMENT}")
        assert page.locator("#app p[lang=cy]").count() == 1
        return complaints


def put_app(host: HostPages, framework: str, given: dict[str, object]) -> None:
    """Serve the framework, the component and the script of a page with the component alone."""
    host.put("/framework.js", read_framework(framework), content_type=SCRIPT)
    text = (WIDGET / f"{framework}.js").read_text("utf-8")
    host.put("/button.js", text.replace(f'from "{framework}"', 'from "/framework.js"'), content_type=SCRIPT)
    start = f'import {{ ReportAbuseButton }} from "/button.js";\nconst given = {json.dumps(given)};\n'
    start += f"const app = document.getElementById('app');\n{START[framework]}\nwindow.isStarted = true;\n"
    host.put("/start.js", start, content_type=SCRIPT)


def put_page(host: HostPages, html: str, policy: tuple[str, ...]) -> str:
    page = make_page(f'<div id="app">{html}</div><script type="module" src="/start.js"></script>')
    return host.put("/", page, headers={"Content-Security-Policy": "; ".join(policy)})


def read_framework(name: str) -> str:
    if name == "vue":
        return (MODULES / "vue/dist/vue.runtime.esm-browser.js").read_text("utf-8")
    return f"{make_react_script('development')}\n{REACT_EXPORTS}"
