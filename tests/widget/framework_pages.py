"""Pages whose button only a script builds: with the real React and Vue, and no bundler."""

import re
from pathlib import Path
from typing import Final, Literal

from tests.sdk.button.button_builders import JAVASCRIPT
from tests.sdk.button.pages import ORIGIN, PLACEMENT
from tests.sdk.renew_button_release import WIDGET

MODULES: Final = JAVASCRIPT / "node_modules"
IMPORT: Final = re.compile(r'^import \{([^}]+)\} from "(\w+)";$', re.MULTILINE)
GIVEN: Final = f'{{ origin: "{ORIGIN}", placement: "{PLACEMENT}" }}'


def make_react_script(build: Literal["development", "production"]) -> str:
    """Return a script whose `require` gives the parts of React, which has no file for a page without a bundler."""
    files = {
        "react": "react/cjs/react",
        "scheduler": "scheduler/cjs/scheduler",
        "react-dom": "react-dom/cjs/react-dom",
        "react-dom/client": "react-dom/cjs/react-dom-client",
    }
    parts = "\n".join(
        f"parts['{name}'] = (module, exports) => {{ {read(MODULES / f'{path}.{build}.js')} }};"
        for name, path in files.items()
    )
    return f"""const parts = {{}}, loaded = {{}}, process = {{ env: {{ NODE_ENV: '{build}' }} }};
        const require = name => {{
          if (!loaded[name]) parts[name](loaded[name] = {{ exports: {{}} }}, loaded[name].exports);
          return loaded[name].exports;
        }};
        {parts}"""


def make_react_page() -> str:
    """Return an empty page in which React draws the button after it fetched the profile."""
    return make_page(
        f"""{make_react_script("production")}
        {IMPORT.sub(lambda found: f"const {{{rename(found[1])}}} = require('{found[2]}')", read_component("react.js"))}
        const page = require('react-dom/client').createRoot(document.getElementById('app'))
        setTimeout(() => page.render(h('main', null, h('h1', null, 'Sam'), h(ReportAbuseButton, {GIVEN}))), 700)"""
    )


def make_vue_page() -> str:
    """Return an empty page in which Vue draws the button."""
    component = IMPORT.sub(lambda found: f"const {{{rename(found[1])}}} = Vue", read_component("vue.js"))
    return make_page(
        f"""{read(MODULES / "vue/dist/vue.runtime.global.prod.js")}
        {component}
        const render = () => h('main', null, [h('h1', 'Sam'), h(ReportAbuseButton, {GIVEN})])
        Vue.createApp({{ render }}).mount('#app')"""
    )


def make_page(script: str) -> str:
    """Return a page with nothing in it but a script, in a scope of its own."""
    safe = script.replace("</script", r"<\/script")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Chat</title></head>'
        f'<body><div id="app"></div><script>(() => {{ {safe} }})()</script></body></html>'
    )


def read_component(name: str) -> str:
    return read(WIDGET / name).replace("export ", "")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rename(names: str) -> str:
    return names.replace(" as ", ": ")
