"""The two databases of gateway and desk, SQLite in a file and PostgreSQL on a server; shared by both, without keys.

Knows no table of either, and imports no room of the gateway but `gateway.web`. `database.make_database` returns the
one that the setting `database_uri` names.
"""
