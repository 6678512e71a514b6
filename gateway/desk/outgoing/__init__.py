"""All that leaves about a case: packages for police, notices to services, and calls that are typed in."""
