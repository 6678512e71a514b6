"""The form's sealing script: rebuilt byte for byte, weighed, typed, and beside it the licence of all that is in it."""

import gzip
import hashlib
import json
import re
import subprocess
from pathlib import Path

import brotli
import pytest

from gateway.public.door import STATIC_FOLDER, load_assets
from gateway.public.returning import load_return_words
from tests.contract.npm_package import NPM, run_node
from tests.house.sources import ROOT

PHONE = ROOT / "gateway" / "public" / "phone"
INTEROP = ROOT / "tests" / "contract" / "interop"
SOURCES = (
    "boxes.js",
    "interview.js",
    "journey.js",
    "page.js",
    "phrases.js",
    "returning.js",
    "screens.js",
    "sealer.js",
    "sealing.js",
    "sending.js",
    "spelling.js",
    "store.js",
    "visit.js",
    "words.js",
    "worker.js",
)
SCRIPT = STATIC_FOLDER / "sealing.js"
PAGE = STATIC_FOLDER / "phone.js"
RETURN = STATIC_FOLDER / "returning.js"
LICENCES = STATIC_FOLDER / "sealing.licences.txt"
# What a phone fetches: 78,000 of the bytes are the libraries, 7,300 the words. Another zlib may save a few bytes more.
PLAIN_BYTES = 96_112
MOST_COMPRESSED_BYTES = {"gzip": 31_792, "brotli": 26_859}
SHA256 = "ebe6dffcde1783005f318cff5d2ac567c8553da70ae0a4d22dcd22357ad70fb9"
RENEW = "Run: node gateway/public/phone/build.mjs"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    assert (PHONE / "node_modules").is_dir(), "Node's libraries are missing. Run: .ci/test-tools"


def test_script_and_licences_are_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    run_node(PHONE / "build.mjs", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {SCRIPT.name, LICENCES.name, PAGE.name, RETURN.name}
    for path in (SCRIPT, LICENCES, PAGE, RETURN):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), RENEW


def test_script_has_its_size_and_hash() -> None:
    raw = SCRIPT.read_bytes()
    compressed = {"gzip": gzip.compress(raw, 9, mtime=0), "brotli": brotli.compress(raw)}
    assert len(raw) == PLAIN_BYTES
    assert {name for name, one in compressed.items() if len(one) > MOST_COMPRESSED_BYTES[name]} == set()
    assert hashlib.sha256(raw).hexdigest() == SHA256


def test_script_is_served_as_it_was_built_and_its_licences_beside_it() -> None:
    assets = load_assets()
    served = {name: assets[name] for name in (SCRIPT.name, LICENCES.name)}
    assert [one.media_type for one in served.values()] == [
        "text/javascript; charset=utf-8",
        "text/plain; charset=utf-8",
    ]
    assert [one.plain for one in served.values()] == [SCRIPT.read_bytes(), LICENCES.read_bytes()]
    assert SCRIPT.read_text("ascii").startswith(f"/*! Licences of the libraries in this file: {LICENCES.name} */\n")


def test_script_makes_no_code_of_text_and_exports_what_the_form_needs() -> None:
    text = SCRIPT.read_text("ascii")
    assert (
        re.findall(r"\beval\b|\bFunction\(|WebAssembly|innerHTML|document\b|\bfetch\(|XMLHttpRequest|Storage", text)
        == []
    )
    assert set(re.findall(r"import\(([^)]*)\)", text)) == {'"crypto"'}  # of Node, where there is no WebCrypto
    (exported,) = re.findall(r"export\{([^}]*)\};?\s*$", text)
    names = {one.split(" as ")[1] for one in exported.split(",")}
    assert names == {"WireError", "open", "seal", "verifyKeySet", "verifyReceipt", "verifyReply"}


def test_script_has_the_very_list_of_words() -> None:
    (coded,) = re.findall(r'"(0aboard\d[a-z0-9]+)"', SCRIPT.read_text("ascii"))
    words = [""]
    for shared, rest in re.findall(r"(\d)([a-z]+)", coded):
        words.append(words[-1][: int(shared)] + rest)
    assert tuple(words[1:]) == load_return_words()


def test_licences_name_every_library_in_the_script_and_those_that_it_is_based_on() -> None:
    lock = json.loads((PHONE / "package-lock.json").read_text("utf-8"))["packages"]
    libraries = {name.removeprefix("node_modules/"): one for name, one in lock.items() if name and not one.get("dev")}
    text = LICENCES.read_text("utf-8")
    parts = text.split("-" * 80)[1:]
    titles = [part.strip().splitlines()[0] for part in parts]
    assert titles == [f"{name} {one['version']} ({one['license']})" for name, one in sorted(libraries.items())]
    assert len(titles) == 6
    for name, part in zip(sorted(libraries), parts, strict=True):
        assert (PHONE / "node_modules" / name / "LICENSE").read_text("utf-8").strip() in part
    for origin in (
        "noble-curves - MIT License (c) 2022 Paul Miller",
        "noble-hashes - MIT",
        "crystals-kyber-javascript",
    ):
        assert origin in text


def test_libraries_are_those_of_the_typescript_client_at_the_same_versions() -> None:
    ours, theirs = (
        json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"] for folder in (PHONE, NPM)
    )
    shared = {name: one for name, one in ours.items() if name and not one.get("dev")}
    # Only a form draws words: the library of their key is the one that the vectors were made with.
    of_the_vectors = json.loads((INTEROP / "package-lock.json").read_text("utf-8"))["packages"]
    words = "node_modules/@noble/hashes"
    assert shared.pop(words)["integrity"] == of_the_vectors[words]["integrity"]
    assert len(shared) == 5
    assert {name: theirs[name] for name in shared} == shared
    wanted = json.loads((PHONE / "package.json").read_text("utf-8"))
    pinned = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert pinned == {name: ours[f"node_modules/{name}"]["version"] for name in pinned}


def test_sources_are_small_of_the_right_types_and_in_the_layout_of_the_formatter(tmp_path: Path) -> None:
    assert {path.name for path in PHONE.glob("*.js")} == set(SOURCES)
    assert all((PHONE / name).read_text("utf-8").startswith("// @ts-check\n") for name in SOURCES)
    assert len((PHONE / "sealing.js").read_text("utf-8").splitlines()) <= 250
    assert len((PHONE / "worker.js").read_text("utf-8").splitlines()) <= 200
    assert len((PHONE / "journey.js").read_text("utf-8").splitlines()) <= 350
    files = [*(PHONE / name for name in SOURCES), PHONE / "build.mjs"]
    run_node("node_modules/prettier/bin/prettier.cjs", "--print-width", "120", "--check", *files)
    settings = {"allowJs": True, "checkJs": True, "noEmit": True, "strict": True, "noUnusedLocals": True, "types": []}
    settings |= {"target": "ES2022", "module": "NodeNext", "lib": ["ES2024", "DOM"], "skipLibCheck": True}
    project = tmp_path / "tsconfig.json"
    entries = [str(PHONE / name) for name in ("page.js", "worker.js")]
    project.write_text(json.dumps({"compilerOptions": settings, "files": entries}), "utf-8")
    assert run_node("node_modules/typescript/bin/tsc", "--project", project) == ""


def test_folder_of_the_sources_holds_them_and_the_lock_alone() -> None:
    listed = subprocess.run(["git", "ls-files", "."], cwd=PHONE, capture_output=True, text=True, check=True).stdout
    assert set(listed.split()) == {*SOURCES, ".npmrc", "build.mjs", "package-lock.json", "package.json"}
