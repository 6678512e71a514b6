"""The history of the desk's schema: one file per change, run when its database is opened by `engine`."""
