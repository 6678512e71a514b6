"""The documented line of the npm package in an app of one's own: Vite builds it with React, outside this project."""

import re
import shlex
import subprocess
from pathlib import Path

from tests.sdk.button.button_builders import JAVASCRIPT
from tests.sdk.renew_button_release import WIDGET

DOCUMENTED = re.compile(r"`(npm install [^`]*)\.\./report-abuse-gateway/widget`")
PAGE = '<!doctype html><div id="root"></div><script type="module" src="/main.jsx"></script>'
APP = """import { createRoot } from "react-dom/client";
import { ReportAbuseButton } from "report-abuse-button/react";
createRoot(document.getElementById("root")).render(
  <ReportAbuseButton origin="https://report.example" placement="example-chat-profile" />,
);
"""


def run(command: list[str], *, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_documented_line_works_in_an_app_with_vite_and_react(tmp_path: Path) -> None:
    (line,) = DOCUMENTED.findall((WIDGET / "README.md").read_text("utf-8"))
    (tmp_path / "package.json").write_text('{"name": "app", "private": true, "type": "module"}', encoding="utf-8")
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "main.jsx").write_text(APP, encoding="utf-8")
    run([*shlex.split(line), "--offline", "--no-audit", "--no-fund", str(WIDGET)], folder=tmp_path)
    # As installed from the registry: the libraries of the tests, which the lock file names.
    for name in ("react", "react-dom", "scheduler"):
        (tmp_path / "node_modules" / name).symlink_to(JAVASCRIPT / "node_modules" / name)
    told = run(["node", str(JAVASCRIPT / "node_modules/vite/bin/vite.js"), "build"], folder=tmp_path)
    assert "MISSING_EXPORT" not in told
    (built,) = (tmp_path / "dist" / "assets").glob("*.js")
    assert "report-abuse-button" in built.read_text("utf-8")
