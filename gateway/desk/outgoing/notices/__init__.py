"""Notices to services: requests, referrals of breaches of terms, alerts, and invitations to enrol.

Each is an action of the ledger, or several, and nothing in one shows the person reporting.
"""
