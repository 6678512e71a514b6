"""Fixtures of the desk's tests."""

from pathlib import Path

import pytest

from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A desk and a gateway that know each other, with everything published and one approved partner."""
    return copy_loop(tmp_path)
