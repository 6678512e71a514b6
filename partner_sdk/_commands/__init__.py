"""The commands of `report-abuse-partner`, one module for each word or group."""
