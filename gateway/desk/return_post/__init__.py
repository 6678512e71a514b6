"""The post to return codes: messages that only the person with the five words opens, stored sealed and then sent."""
