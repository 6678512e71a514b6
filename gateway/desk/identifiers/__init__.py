"""Identifiers of people and files in reports: normalised, keyed-hashed by the vault, and never stored as text."""
