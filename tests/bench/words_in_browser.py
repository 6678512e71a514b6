"""What the five words cost a page: their key and the two boxes of Send, in Chromium at full speed and slowed six times.

    .venv/bin/python -m tests.bench.words_in_browser [FOLDER]

FOLDER has `node_modules`: without one, the locked libraries of tests/contract/interop. Where hash-wasm was installed
there too, its key is measured beside: the comparison of docs/decisions/0080. Each measurement is the first in a new
page, as at Send. It is taken in the page: Chromium slows no worker.
"""

import functools
import http.server
import json
import sys
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from partner_sdk.wire.canonical import parse_base64url
from tests.bench.figures import Figure, make_figure, print_figures
from tests.contract.vector_files import FILES
from tests.widget.browsers import open_chromium_visitor

INTEROP = Path(__file__).resolve().parents[1] / "contract" / "interop"
ROUNDS, SLOWED, MOST_MS = 9, 6, 1500
NODE = "/node_modules"
HPKE = {name: f"{NODE}/{name}/esm/mod.js" for name in ("@hpke/common", "@hpke/core", "@hpke/dhkem-x25519", "mlkem")}
IMPORTS = {**HPKE, "@hpke/hybridkem-x-wing": f"{NODE}/@hpke/hybridkem-x-wing/esm/mod.js"}
KEYS = {
    "@noble/hashes": """const {argon2id} = await import("/node_modules/@noble/hashes/argon2.js");
        globalThis.derive = async (words, salt) => argon2id(words, salt, {t: 1, m: 16384, p: 1, dkLen: 32});""",
    "hash-wasm": """const {argon2id} = await import("/node_modules/hash-wasm/dist/index.esm.min.js");
        globalThis.derive = (password, salt) => argon2id({password, salt, parallelism: 1, iterations: 1,
            memorySize: 16384, hashLength: 32, outputType: "binary"});""",
}
# The seed stands for what HKDF makes of the key. A place and a report are padded to these sizes (WIRE.md §3.3).
MEASURE = """async ({words, salt}) => {
    const {Aes256Gcm, CipherSuite, HkdfSha256} = await import("@hpke/core");
    const {XWing} = await import("@hpke/hybridkem-x-wing");
    const suite = new CipherSuite({kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm()});
    const agency = await suite.kem.generateKeyPair(), begun = performance.now();
    const key = await derive(new TextEncoder().encode(words), new Uint8Array(salt));
    const derived = performance.now(), {publicKey} = await suite.kem.deriveKeyPair(key.slice().buffer);
    for (const [recipientPublicKey, bytes] of [[publicKey, 4096], [agency.publicKey, 65536]]) {
        const sender = await suite.createSenderContext({recipientPublicKey, info: new ArrayBuffer(200)});
        await sender.seal(new ArrayBuffer(bytes));
    }
    return {key: Array.from(key), derive_ms: derived - begun, whole_ms: performance.now() - begun};
}"""


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves the folder, and a blank page that finds the libraries in it."""

    def do_GET(self) -> None:
        """Answer with the blank page, or a file."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<script type="importmap">{json.dumps({"imports": IMPORTS})}</script>'.encode())

    def log_message(self, *_args: Any) -> None:
        """Print nothing."""


def measure(page: Page, library: str, *, rate: int) -> dict[str, Any]:
    """Measure one Send in this new page; raises SystemExit for a wrong key."""
    page.evaluate(f"async () => {{ {KEYS[library]} }}")
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})
    case = FILES["return-code"]["cases"][0]
    asked = {"words": case["code"], "salt": list(parse_base64url(case["salt"]))}
    found: dict[str, Any] = page.evaluate(MEASURE, asked)
    if bytes(found["key"]) != parse_base64url(case["raw"]):
        raise SystemExit(f"{library} makes another key.")
    return found


def main(words: list[str] | None = None) -> int:
    """Measure every library of the folder and print the figures."""
    given = sys.argv[1:] if words is None else words
    folder = Path(given[0]) if given else INTEROP
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    figures: list[Figure] = []
    with open_chromium_visitor() as chromium:
        for library in (one for one in KEYS if (folder / "node_modules" / one).is_dir()):
            for rate in (1, SLOWED):
                found = []
                for _ in range(ROUNDS):
                    with chromium.browser.new_context() as context:
                        page = context.new_page()
                        page.goto(f"http://127.0.0.1:{server.server_port}/")
                        found.append(measure(page, library, rate=rate))
                named, most = f"{library}, {rate} times slower" if rate > 1 else library, MOST_MS if rate > 1 else None
                figures.append(make_figure(f"key with {named}", [one["derive_ms"] for one in found], unit="ms"))
                whole = [one["whole_ms"] for one in found]
                figures.append(make_figure(f"key and boxes with {named}", whole, unit="ms", most=most))
    server.shutdown()
    print_figures(figures, as_json=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
