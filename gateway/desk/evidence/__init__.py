"""Evidence as partners handed it over: collected sealed, kept sealed, and opened piece by piece for `cases/`."""
