"""The keyless runner: visits services' registered pages on a schedule, and sends its findings to the desk.

A separate process, on a separate machine if the agency prefers: it holds no key, knows no report, and imports only the
SDK. The desk never fetches a page, and no content of a page reaches the desk, only the checker's fixed texts.
"""
