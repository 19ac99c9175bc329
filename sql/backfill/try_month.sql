SELECT pg_try_advisory_lock(hashtextextended(%(stream)s || ' ' || %(account)s, %(month)s))
