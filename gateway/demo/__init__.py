"""The demonstration: the whole loop on one machine, with real processes and real HTTP."""

from gateway.demo.run import run_demo

__all__ = ["run_demo"]
