"""Reconciliation: the platform against a fresh walk, the merchant's own books and the balances; no Dagster here."""
