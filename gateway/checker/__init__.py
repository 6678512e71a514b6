"""The keyless runner: visits the registered pages of services on a schedule, and hands the desk what it found.

A process of its own, on a machine of its own if the agency likes: it holds no key, knows no report, and imports only
the SDK. The desk never fetches a page, and nothing that a page answers reaches the desk but the checker's own words.
"""
