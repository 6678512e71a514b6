"""The gateway: takes sealed reports from the form and the industry API and hands them to the desk; never reads one."""
