"""Proof of what is stored: replay of signed pages, a figure's way back to its page, spot checks; no Dagster here."""
