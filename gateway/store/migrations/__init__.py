"""The history of the schema: one file for each change, run by `creation.migrate_store`."""
