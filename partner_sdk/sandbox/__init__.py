"""A fake gateway for partners' own tests: in this process, without sockets, always sandbox, NOT A REPORT.

Never speaks for live: it holds only keys that it made itself, and its address is one that does not exist. Names load
when they are first used (PEP 562), so that a test run that does not use it does not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {"Sandbox": "_running", "SandboxReport": "_agency", "scenarios": ""}

__all__ = ["Sandbox", "SandboxReport", "scenarios"]

if TYPE_CHECKING:
    from partner_sdk.sandbox import scenarios as scenarios
    from partner_sdk.sandbox._agency import SandboxReport as SandboxReport
    from partner_sdk.sandbox._running import Sandbox as Sandbox


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'partner_sdk.sandbox' has no attribute {name!r}")
    return getattr(import_module(f"partner_sdk.sandbox.{home}"), name) if home else import_module(f"{__name__}.{name}")
