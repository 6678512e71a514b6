"""The signposts under the public door's own name; the desk reads the same dated file (`gateway/web/signposts.py`)."""

from gateway.web.signposts import SIGNPOSTS_FILE, Signpost, load_signposts

__all__ = ["SIGNPOSTS_FILE", "Signpost", "load_signposts"]
