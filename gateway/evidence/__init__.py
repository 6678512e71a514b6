"""Sealed evidence at the gateway: bytes in files, rows in the store.

Never decrypts: parts are ciphertext, and the key is inside a sealed report.
"""
