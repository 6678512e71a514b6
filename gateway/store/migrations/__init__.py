"""The history of the schema: one file per change, run by `creation.migrate_store`."""
