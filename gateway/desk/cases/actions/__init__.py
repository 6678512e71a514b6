"""Actions: everything that leaves the house about a case, each to one recipient, and the thread that follows it.

The kinds differ in their content, in the people to release them and in the time that they go; the rest is here once.
"""
