-- Where the figures stand: the zone, the ledger's head, the row of the chain before.
SELECT (SELECT value FROM core.settings WHERE key = 'reporting_zone') AS reporting_zone, session_user AS closed_as,
       core.business_day_starts_at(CAST(:day AS date)) AS starts_at,
       core.business_day_starts_at(CAST(:day AS date) + 1) AS ends_at,
       (SELECT jsonb_build_object('entry_no', entry_no, 'head', encode(entry_hash, 'hex'))
        FROM sync.windows WHERE account = :account ORDER BY entry_no DESC LIMIT 1) AS ledger_head,
       (SELECT jsonb_build_object('close_no', close_no, 'head', encode(entry_hash, 'hex'))
        FROM recon.closes WHERE account = :account ORDER BY close_no DESC LIMIT 1) AS previous_close
