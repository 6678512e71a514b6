"""What form and desk share: advice, the bodies that can help (and when each was last checked), what is urgent.

Never holds a key, a report, or anything that somebody typed; imports nothing of the gateway but `gateway.web`.
"""
