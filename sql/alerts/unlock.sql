SELECT pg_advisory_unlock(hashtextextended('alerts ' || CAST(:account AS text), 0))
