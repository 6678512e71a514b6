"""Evidence from partners: collected sealed, kept sealed, and opened piece by piece for `cases/`."""
