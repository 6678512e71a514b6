"""Opens a loop for the tests that start from one: its servers are processes, its short commands run in this one.

The commands are the same, read the same words and write the same files, and a process for each takes half a second of a
core. They run one after another, because their output would mix. test_demo.py and test_documents_run.py start each
command as a process, as a person would.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from unittest import mock

from gateway.demo.loop import Loop, Site
from gateway.demo.processes import DemoError


@contextlib.contextmanager
def open_enrolled_loop(folder: Path, *, port: int, site: Site | None = None) -> Iterator[Loop]:
    """Yield a running loop with an enrolled partner: keys made, gateway served, lists published."""
    with running_here(Loop(folder, port=port, site=site)) as loop:
        loop.start_servers()
        loop.make_keys()
        loop.start_gateway()
        loop.publish()
        loop.enrol_partner()
        yield loop


@contextlib.contextmanager
def running_here(loop: Loop) -> Iterator[Loop]:
    """Let the short commands of a loop run in this process; stop its servers at the end."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))  # a cluster names its certificate there
        stack.callback(loop.stop)
        with (
            mock.patch.object(loop.processes, "run", run_here),
            mock.patch.object(loop.processes, "run_together", run_here_in_turn),
        ):
            yield loop


def run_here(module: str, *words: str) -> str:
    """Run a command in this process and return its output; raises `DemoError` if it fails."""
    said, complaint = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaint):
        code = import_module(module).main(words)
    if code != 0:
        raise DemoError(f"{module} {' '.join(words[:2])} ended with {code}: {complaint.getvalue()}")
    return said.getvalue()


def run_here_in_turn(commands: Sequence[Sequence[str]]) -> list[str]:
    """Run commands one after another, because their output would mix; results as from `run_here`."""
    return [run_here(*command) for command in commands]
