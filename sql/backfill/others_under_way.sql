-- Whether a run that is no backfill is under way: then its lock cannot be had.
SELECT CASE WHEN pg_try_advisory_lock(hashtextextended('short run ' || %(account)s, 0))
            THEN NOT pg_advisory_unlock(hashtextextended('short run ' || %(account)s, 0))
            ELSE true END AS under_way
