"""The npm package of partner_sdk/npm for tests: built when its sources changed, and run by Node.

`python -m tests.contract.npm_package` writes the two schemas again that the package takes its types from.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from gateway.industry import mailbox_schema, report_schema
from tests.house.sources import ROOT

NPM = ROOT / "partner_sdk" / "npm"
SCHEMAS = NPM / "src" / "schema"
EXAMPLE = ROOT / "partner_sdk" / "examples" / "report.json"  # build.mjs copies it: it is never sent to a live agency
PATIENCE_SECONDS = 300


def print_schemas() -> Mapping[str, str]:
    """Return the text of each schema file, as a gateway serves it under `/v1/schema`."""
    schemas: Mapping[str, dict[str, Any]] = {"mailbox": mailbox_schema(), "report": report_schema()}
    return {
        f"{name}.json": json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        for name, schema in schemas.items()
    }


def run_node(*words: object, code: int = 0, patience_seconds: int = PATIENCE_SECONDS) -> str:
    """Run Node in the package's folder and return its output."""
    command = [str(shutil.which("node")), *map(str, words)]
    done = subprocess.run(command, cwd=NPM, capture_output=True, text=True, timeout=patience_seconds, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def build_package() -> None:
    """Build dist/ unless it is that of these very sources; workers of one run take turns."""
    assert (NPM / "node_modules").is_dir(), "Node's libraries are missing. Run: .ci/test-tools"
    with (NPM / "node_modules" / ".build.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        built, sources = NPM / "node_modules" / ".built", _hash_sources()
        is_there = (NPM / "dist" / "index.js").is_file() and built.is_file()
        if not is_there or built.read_text("utf-8") != sources:
            run_node("build.mjs")
            built.write_text(sources, "utf-8")


def _hash_sources() -> str:
    paths = sorted(path for path in NPM.glob("src/**/*") if path.is_file())
    whole = hashlib.sha256()
    for path in (*paths, EXAMPLE, NPM / "build.mjs", NPM / "tsconfig.json", NPM / "package-lock.json"):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


if __name__ == "__main__":
    for name, text in print_schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
