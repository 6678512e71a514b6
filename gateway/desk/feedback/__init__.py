"""Feedback to partners: what is counted, what it costs, the noise, and the published digest."""
