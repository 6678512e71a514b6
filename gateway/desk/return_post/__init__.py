"""The post to return codes: messages that only the person with the four words opens, stored sealed and then sent."""
