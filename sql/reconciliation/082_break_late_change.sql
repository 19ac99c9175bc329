-- late_change: an operation of a closed day that is no longer what the sealed figures say; by how much success moved.
INSERT INTO found_breaks
SELECT 'late_change ' || r.close_no || ' o' || r.operation_id, r.business_date, 'late_change', r.operation_id, NULL, NULL,
       coalesce(r.currency_before, r.currency_after),
       CASE WHEN r.currency_before <> r.currency_after THEN -coalesce(r.minor_before, 0) * CAST(b.is_success AS integer)
            ELSE coalesce(r.minor_after * CAST(a.is_success AS integer), 0)
               - coalesce(r.minor_before * CAST(b.is_success AS integer), 0) END,
       r.currency_after, r.minor_after, r.status_after, NULL, NULL, NULL,
       concat(r.kind, ' since the day was closed: ', coalesce(r.status_before, 'not there'), ' → ', r.status_after), NULL
FROM recon.restatements r
LEFT JOIN core.operation_statuses a ON a.operation_status = r.status_after
LEFT JOIN core.operation_statuses b ON b.operation_status = r.status_before
WHERE r.account = :account AND r.business_date = :day
