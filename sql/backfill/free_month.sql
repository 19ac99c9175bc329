SELECT pg_advisory_unlock(hashtextextended(%(stream)s || ' ' || %(account)s, %(month)s))
