"""All that leaves about a case: packages, referrals, requests and warnings; and calls that are typed in."""
