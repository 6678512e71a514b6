"""The long form of a test: kills the gateway many times while it takes reports, forms and evidence.

    .venv/bin/python -m tests.bench.kills 100

It prints nothing of its own and fails where an acknowledged report or part is gone, or is there twice.
"""

import sys
import tempfile
from pathlib import Path

from tests.builders.local_servers import find_free_ports
from tests.whole.loop_in_process import open_enrolled_loop
from tests.whole.test_kill_and_restart import check_all_survives


def main() -> None:
    """Run it on a new gateway."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with (
        tempfile.TemporaryDirectory() as folder,
        open_enrolled_loop(Path(folder), port=find_free_ports(4)) as loop,
    ):
        check_all_survives(loop, kills=kills)


if __name__ == "__main__":
    main()
