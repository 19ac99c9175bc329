-- The planner's estimate where the table is large: an exact count of every night would read it all.
SELECT CASE WHEN c.reltuples > 1000000 THEN c.reltuples::bigint
            ELSE (SELECT count(*) FROM core.operations WHERE account = :account) END AS row_count
FROM pg_class c
WHERE c.oid = 'core.operations'::regclass
