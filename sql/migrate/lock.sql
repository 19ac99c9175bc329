-- One migrating process at a time; released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('ecommpay-sync migrations', 0))
