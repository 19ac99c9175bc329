"""Taking a person's data out of every table and signed page; keys, totals and the ledger stay. No Dagster here."""
