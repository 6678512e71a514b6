"""Files that partners handed over: collected sealed, kept sealed, opened only when a person asks for one."""
