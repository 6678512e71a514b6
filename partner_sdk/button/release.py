"""The released button that this SDK writes: its version, its files, and the hashes that they have at every agency.

A released file never changes: a page that names another hash carries something else. A test compares all of this with
the files in `widget/`.
"""

from typing import Final

VERSION: Final = "1.1.0"
SCRIPT_PATH: Final = f"/button/{VERSION}/report-abuse-button.js"
ICON_PATH: Final = f"/button/{VERSION}/button.svg"
# W3C SRI §3.1: algorithm, then the digest in base64.
SCRIPT_INTEGRITY: Final = "sha384-o6SMVbtrUuINOpL2BaM+zfcQ0ecuRrntj8M4sCorYfO/QxMIeYdbEusSi8FU08/K"
ICON_INTEGRITY: Final = "sha384-uOOG8RoldU4KmiRMyelsNZPv+AjkJnqRX9XVjOQosUNt+8KMMy79I4NaarBQOYZc"
# The script's hash by version. A page with an earlier release works for ever; the icon has never changed.
EARLIER_SCRIPTS: Final = {"1.0.0": "sha384-RARdjo9dJcqi3ftDQRQS/JHNUH0zkfkfj/lJlKozhO/j6HU5zyvrecgOhmD5S3sk"}
ELEMENT: Final = "report-abuse-button"

ICON_BOX: Final = "0 0 48 48"
# The content of <svg> in button.svg, so that a page can show the icon without asking for it.
ICON_SHAPES: Final = (
    '<rect width="48" height="48" rx="12" fill="#154650"/><path fill="#f6c65b" d="M19 39A20 18 0 1 0 10 3'
    "5L8 45zM16 22v-8a2 2 0 0 1 4 0v7h1v-10a2 2 0 0 1 4 0v10h1v-9a2 2 0 0 1 4 0v9h1v-6a2 2 0 0 1 4 0v11c0"
    ' 6-4 10-10 10-4 0-6-1-8-4l-7-9a2 2 0 0 1 3-3z"/>'
)
