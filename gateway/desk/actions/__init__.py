"""Actions: everything that leaves the house about a case, each to one recipient, and the thread that follows it.

The kinds differ in their content, in who releases them and in when they go; the rest is said here once.
"""
