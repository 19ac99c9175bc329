SELECT pg_advisory_lock(hashtextextended(CAST(%(stream)s AS text) || ' ' || CAST(%(account)s AS text), %(month)s))
