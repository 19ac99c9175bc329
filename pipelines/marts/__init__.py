"""The marts of schema bi: when they are built, and for which account a shared project counts; no Dagster here."""
