"""Bringing in what the gateway holds: verify, chain, file as cases, set aside what does not verify."""
