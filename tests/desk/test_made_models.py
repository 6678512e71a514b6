"""Models of state folders: how long they live."""

import subprocess
import sys
from pathlib import Path

import pytest

MAKER = """
import atexit, os, sys
from pathlib import Path
from tests.desk import made_models

folder = Path(sys.argv[1])
made_models.copy_model("model", lambda made: (made / "state").touch(), into=folder / "before")
child = os.fork()
if child == 0:
    {ending}
assert os.waitpid(child, 0)[1] == 0
made_models.copy_model("model", lambda made: None, into=folder / "after")
print(made_models._MODELS["model"])
"""


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("atexit._clear(); os._exit(0)", id="its handlers cleared, as by multiprocessing from 3.13 on"),
        pytest.param("sys.exit()", id="its handlers run"),
    ],
)
def test_model_lives_as_long_as_its_maker_despite_forks(tmp_path: Path, ending: str) -> None:
    command = [sys.executable, "-c", MAKER.format(ending=ending), str(tmp_path)]
    maker = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert (tmp_path / "before" / "state").exists()
    assert (tmp_path / "after" / "state").exists()
    assert not Path(maker.stdout.strip()).exists()
