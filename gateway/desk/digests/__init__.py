"""Digests: each quarter's anonymised feedback to a partner, from its privacy ledger to its page and commands."""
