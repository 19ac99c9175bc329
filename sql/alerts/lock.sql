SELECT pg_try_advisory_lock(hashtextextended('alerts ' || CAST(:account AS text), 0)) AS mine
