"""The desk: the separate process that alone holds the private keys, opens what was sealed, and answers partners.

Never imports the rest of the gateway (only ``gateway.web`` and ``gateway.guidance``), and the gateway never imports it.
"""
