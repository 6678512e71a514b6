"""Dated facts that only the form needs: who helps in other countries, and what the thank-you page may promise."""
