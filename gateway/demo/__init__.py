"""The demonstration: the whole loop on one machine, with real processes and real HTTP."""
