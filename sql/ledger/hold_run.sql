-- Held as long as the run's process lives; sync.was_killed looks for it.
SELECT pg_advisory_lock(20090, CAST(mod(%(run_id)s, 2147483647) AS integer))
