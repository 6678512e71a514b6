"""Builds the fixed package and the fixed sheets with another Python, and compares their bytes with this one's.

    .venv/bin/python -m tests.two_pythons python3.13

Not a test: it needs a second Python, and installs the locked libraries for it into a folder that goes afterwards.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What the builder imports, and what it needs below that comes along; the versions are those of the lock.
LIBRARIES = ("click", "cryptography", "fpdf2", "msgspec", "pypdf", "requests", "sqlalchemy", "tzdata", "uharfbuzz")
PROBE = """
import hashlib
from gateway.desk.packages.archive import make_archive
from tests.desk.packages.package_builders import PICTURE, make_content, make_item, sign
from tests.desk.test_paper import draw, write_everything
content = make_content(evidence=(make_item(is_enclosed=True),))
archive = b"".join(make_archive(content, sign=sign, evidence={"e1": lambda: [PICTURE]}).stream())
print(hashlib.sha256(archive).hexdigest(), hashlib.sha256(draw(write_everything)).hexdigest())
"""


def build(python: str) -> str:
    """Return the two hashes as this Python builds them."""
    done = subprocess.run([python, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main(other: str) -> int:
    """Return 0 if the bytes are equal."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([other, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin/python")
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(make_constraints(folder))]
        subprocess.run([*install, *LIBRARIES, "http-message-signatures", "pytest"], check=True)
        own, others = build(sys.executable), build(python)
    sys.stdout.write(f"{sys.executable}: {own}\n{other}: {others}\n{'equal' if own == others else 'DIFFERENT'}\n")
    return int(own != others)


def make_constraints(folder: str) -> Path:
    """Return a file with the versions of the lock, without its hashes."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    place = Path(folder) / "constraints.txt"
    place.write_text("\n".join(line.removesuffix(" \\") for line in lines if line[:1].isalnum()), encoding="utf-8")
    return place


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "python3.13"))
