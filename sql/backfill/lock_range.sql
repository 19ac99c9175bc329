-- The same backfill is not run twice at once; two over different days may be.
SELECT pg_advisory_lock(hashtextextended(
    'backfill ' || %(stream)s || ' ' || %(account)s || ' ' || %(first)s || ' ' || %(last)s, 0))
