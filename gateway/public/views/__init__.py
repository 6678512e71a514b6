"""The views of the public door, split by job: start, screens, check and send, thank you, side pages, failures."""
