"""Packages: one case for one body that can protect a child, drafted, released by two people, and followed."""
