"""Makes other-client.json: the output of the TypeScript client. Needs Node and `npm install` here and in partner_sdk/npm."""

import json
import subprocess
from typing import Any

from tests.contract.npm_package import build_package
from tests.contract.vector_makers.other_library import INTEROP


def make_other_client() -> dict[str, Any]:
    """Run the client's own maker; its seeds are fixed, so the same versions of its packages make the same bytes."""
    build_package()
    run = subprocess.run(["node", "make_client_vectors.mjs"], cwd=INTEROP, capture_output=True, check=True)
    file: dict[str, Any] = json.loads(run.stdout)
    return file
