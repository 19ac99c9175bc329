"""The marts of schema bi: when they are built, and whose a shared project is in them; no Dagster here."""
