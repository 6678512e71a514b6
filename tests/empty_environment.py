"""An environment with wheels of ours and the libraries that they declare, and nothing else; made without an index.

The libraries are links to the installed ones. A wheel that needs more than it declares fails there as at its user.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def build_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel of a copy of the source, so that the build leaves nothing in the repository."""
    copied = folder / "source"
    left_out = shutil.ignore_patterns(
        *("__pycache__", "*.egg-info", "build", ".venv", ".git", "node_modules", "tests", "docs", "state", ".*_cache")
    )
    shutil.copytree(source, copied, ignore=left_out)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command += ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(copied)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    shutil.rmtree(copied)
    (built,) = folder.glob("*.whl")
    return built


def read_requirements(wheel: Path) -> dict[str, bool]:
    """Return the libraries that a wheel declares, and whether only extras need each."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode("utf-8").splitlines()
    declared = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist")]
    needed_by = [(normal(one.name), "extra ==" in str(one.marker or "")) for one in declared]
    # A library of the base may stand in an extra too.
    return {name: (name, False) not in needed_by for name, _ in needed_by}


def needed_distributions(declared: Iterable[str]) -> set[str]:
    """Return the libraries and their requirements on this Python, from their own metadata; no extras."""
    found: set[str] = set()
    waiting = set(declared)
    while waiting:
        name = waiting.pop()
        found.add(name)
        requirements = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        needed = {normal(one.name) for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})}
        waiting |= needed - found
    return found


def link_distribution(name: str, target: Path) -> int:
    """Link the installed files of one distribution into a folder."""
    count = 0
    for file in importlib.metadata.files(name) or []:
        source, placed = Path(str(file.locate())), target / file
        if ".." in file.parts or not source.is_file():
            continue
        placed.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, placed)
        except OSError:  # another disk
            shutil.copy2(source, placed)
        count += 1
    return count


def make_environment(folder: Path, *wheels: Path) -> Path:
    """Make an environment of these wheels, and return its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    ours = {normal(wheel.name.partition("-")[0]) for wheel in wheels}
    declared = {name for wheel in wheels for name, is_extra in read_requirements(wheel).items() if not is_extra}
    for name in needed_distributions(declared - ours):
        link_distribution(name, packages)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    return folder / "bin" / "python"
