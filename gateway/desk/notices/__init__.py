"""Notices: referrals of breaches of terms, alerts to services, and invitations to services without keys.

Each is an action of the ledger, or several. A second person signs what leaves, and nothing in a notice shows
the person reporting.
"""
