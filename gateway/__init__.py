"""The gateway: takes sealed reports through its doors and hands them to the desk; never reads one."""
