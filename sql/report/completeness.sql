-- The windows that cover the day, of the last walk over each second; whether a hole is left; the ledger's head.
WITH asked AS (
    SELECT CAST(:first AS timestamp) AT TIME ZONE :zone AS day_from,
           CAST(:after AS timestamp) AT TIME ZONE :zone AS day_to
), latest AS (
    SELECT w.*
    FROM sync.windows w, asked
    WHERE w.account = :account AND w.stream = 'operations' AND w.project_ids = '{}'
      AND w.interval_from < day_to AND w.interval_to >= day_from
      AND NOT EXISTS (
          SELECT FROM sync.windows later
          WHERE later.account = w.account AND later.stream = w.stream AND later.project_ids = w.project_ids
            AND later.run_id > w.run_id
            AND later.interval_from <= w.interval_from AND later.interval_to >= w.interval_to)
), head AS (
    SELECT entry_no, encode(entry_hash, 'hex') AS entry_hash
    FROM sync.windows WHERE account = :account ORDER BY entry_no DESC LIMIT 1
)
SELECT count(*) FILTER (WHERE verdict = 'complete') AS windows,
       count(*) FILTER (WHERE verdict <> 'complete') AS incomplete_windows,
       coalesce(sum(requests), 0) AS requests, coalesce(sum(rows_met), 0) AS rows,
       coalesce(sum(rows_rejected), 0) AS rejects,
       coalesce(range_agg(tstzrange(interval_from, interval_to + interval '1 second'))
                    FILTER (WHERE verdict = 'complete') @> (SELECT tstzrange(day_from, day_to) FROM asked),
                false) AS covered,
       coalesce(bool_or(verdict = 'complete' AND walk_started_at > (SELECT day_to FROM asked)), false) AS walked_after_it_ended,
       (SELECT max(c.covered_to) FROM sync.coverage c
        WHERE c.account = :account AND c.stream = 'operations' AND c.project_ids = '{}') AS covered_through,
       (SELECT entry_no FROM head) AS ledger_entries, (SELECT entry_hash FROM head) AS ledger_head
FROM latest
