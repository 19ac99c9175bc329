SELECT pg_advisory_lock(hashtextextended('operations ' || %(account)s, %(month)s))
