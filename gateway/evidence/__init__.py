"""Sealed evidence at the gateway: the bytes in files, the rows in the store.

Never opens a byte: parts are ciphertext, and the key lies in a sealed report.
"""
