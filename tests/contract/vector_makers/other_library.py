"""Runs the other HPKE library (tests/contract/interop), which shares no code with ours. Needs Node and `npm install` there."""

import json
import subprocess
from pathlib import Path

INTEROP = Path(__file__).resolve().parents[1] / "interop"


def ask_other_library(**request: str) -> dict[str, str]:
    """Run the other HPKE library on one request."""
    run = subprocess.run(
        ["node", "interop.mjs"], cwd=INTEROP, input=json.dumps(request).encode(), capture_output=True, check=True
    )
    answer: dict[str, str] = json.loads(run.stdout)
    return answer
