"""Makes other-client.json: the output of a Node client written from the guide. Needs Node and `npm install`."""

import json
import subprocess
from typing import Any

from tests.contract.vector_makers.other_library import INTEROP


def make_other_client() -> dict[str, Any]:
    """Run the client's own maker; its seeds are fixed, so the same versions of its packages make the same bytes."""
    run = subprocess.run(["node", "make_client_vectors.mjs", "-"], cwd=INTEROP, capture_output=True, check=True)
    file: dict[str, Any] = json.loads(run.stdout)
    return file
