-- name: keep_last_observed
-- An operation that two windows met counts as it was observed last.
DELETE FROM staging_operations s
USING staging_operations later
WHERE later.operation_id = s.operation_id AND (later.observed_at, later.ctid) > (s.observed_at, s.ctid)

-- name: analyze_staging
ANALYZE staging_operations

-- name: compare_walk
-- The day ends with the second :last, which the walk shares with the next day, and whose operations are of that one.
-- A fresh walk (staging_operations) against the store: missing, stored otherwise, gone, moved; control totals and
-- digests of both sides. gone: its stored state came from a walk of this very day alone, so that a walk of the day
-- must still meet it, if it had not changed since.
WITH walked AS (
    SELECT s.operation_id, o.operation_id IS NULL AS is_missing,
           o.operation_id IS NOT NULL AND NOT core.same_content(o, s)
               AND NOT core.same_content(o, core.fill_unrequested(o, s, CAST(:unrequested AS text[]))) AS is_different,
           s.sum_initial_currency AS currency, s.operation_type AS type, s.operation_status AS status,
           s.sum_initial_amount AS minor, o.sum_initial_currency AS stored_currency, o.operation_type AS stored_type,
           o.operation_status AS stored_status, o.sum_initial_amount AS stored_minor,
           md5(concat_ws('|', s.operation_id, s.project_id, s.payment_id, s.operation_type, s.operation_status,
               s.sum_initial_amount, s.sum_initial_currency, extract(epoch FROM s.operation_created_at),
               extract(epoch FROM s.operation_completed_at))) AS digest,
           CASE WHEN o.operation_id IS NOT NULL THEN md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) END AS stored_digest
    FROM staging_operations s
    LEFT JOIN core.operations o ON o.account = s.account AND o.operation_id = s.operation_id
    WHERE s.operation_completed_at IS DISTINCT FROM CAST(:last AS timestamptz)
), unmet AS (
    SELECT o.operation_id, coalesce(w.interval_from >= :first AND w.interval_to <= :last, false) AS is_gone,
           o.sum_initial_currency AS currency, o.operation_type AS type, o.operation_status AS status,
           o.sum_initial_amount AS minor, md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) AS digest
    FROM core.operations o
    LEFT JOIN sync.windows w ON w.window_id = o.window_id
    WHERE o.account = :account AND o.operation_completed_at >= :first AND o.operation_completed_at < :last
      AND NOT EXISTS (SELECT FROM staging_operations s WHERE s.operation_id = o.operation_id)
), stored AS (
    SELECT operation_id, stored_currency AS currency, stored_type AS type, stored_status AS status,
           stored_minor AS minor, stored_digest AS digest
    FROM walked WHERE NOT is_missing
    UNION ALL
    SELECT operation_id, currency, type, status, minor, digest FROM unmet WHERE is_gone
)
SELECT (SELECT count(*) FROM walked) AS rows_walked,
       (SELECT count(*) FROM walked WHERE is_missing) AS rows_missing,
       (SELECT count(*) FROM walked WHERE is_different) AS rows_differing,
       (SELECT count(*) FROM unmet WHERE is_gone) AS rows_gone,
       (SELECT count(*) FROM unmet WHERE NOT is_gone) AS rows_moved,
       (SELECT min(operation_id) FROM (
            SELECT operation_id FROM walked WHERE is_missing OR is_different
            UNION ALL SELECT operation_id FROM unmet WHERE is_gone
        ) AS wrong) AS first_difference,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM walked GROUP BY 1, 2, 3
        ) AS t) AS totals_walked,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM stored GROUP BY 1, 2, 3
        ) AS t) AS totals_stored,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM walked) AS digest_walked,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM stored) AS digest_stored

-- name: add_completeness
INSERT INTO recon.completeness (
    account, business_date, walked_at, interval_from, interval_to, verdict, reason, requests, rows_walked, rows_rejected,
    rows_missing, rows_differing, rows_gone, rows_moved, totals_walked, totals_stored, digest_walked, digest_stored
)
VALUES (
    :account, :day, :walked_at, :first, :last, :verdict, :reason, :requests, :rows_walked, :rows_rejected,
    :rows_missing, :rows_differing, :rows_gone, :rows_moved, CAST(:totals_walked AS jsonb), CAST(:totals_stored AS jsonb),
    :digest_walked, :digest_stored
)
