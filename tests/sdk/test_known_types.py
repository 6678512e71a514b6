"""Types are worked out before threads read them: msgspec crashes the process when they meet at that."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# New types in each round, read first by three threads at once while another collects garbage.
ROUNDS = """
import gc, sys, threading, types
import msgspec
from partner_sdk.wire.canonical import prepare_types
sys.setswitchinterval(1e-6)
SOURCE = '''
import msgspec
from typing import Annotated, Literal
Text = Annotated[str, msgspec.Meta(max_length=5)]
class Inner(msgspec.Struct, frozen=True, kw_only=True):
    x: Text | None = None
    y: tuple[Text, ...] = ()
class Outer(msgspec.Struct, frozen=True, kw_only=True):
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    kind: Literal["a", "b"] = "a"
'''
for number in range(60):
    module = types.ModuleType(f"round_{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    PREPARE
    together = threading.Barrier(4)
    def read():
        together.wait()
        msgspec.json.decode(b'{"inner":{"x":"a"},"many":[{}]}', type=module.Outer)
    def collect():
        together.wait()
        for _ in range(20):
            gc.collect(0)
    threads = [threading.Thread(target=each) for each in (read, read, read, collect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
"""


def test_threads_that_read_a_prepared_type_first_do_not_crash() -> None:
    code = ROUNDS.replace("PREPARE", "assert prepare_types() >= 2")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=REPOSITORY)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_every_message_of_the_wire_is_prepared() -> None:
    code = (
        "import time, partner_sdk.client.partner\n"
        "from partner_sdk.wire.canonical import prepare_types\n"
        "began = time.perf_counter()\nprint(prepare_types(), time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=REPOSITORY, check=True
    )
    count, seconds = done.stdout.split()
    assert int(count) >= 60
    assert float(seconds) < 2
