"""What both sides tell people: advice, the bodies that can help, and when each was last checked. Form and desk read it.

Never holds a key, a report, or anything that somebody typed; imports nothing of the gateway but `gateway.web`.
"""
