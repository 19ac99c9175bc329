"""PostgreSQL: connect, migrate, load, keep the ledger; the statements themselves are in `sql`."""
