INSERT INTO recon.completeness (
    account, business_date, walked_at, interval_from, interval_to, verdict, reason, requests, rows_walked, rows_rejected,
    rows_missing, rows_differing, rows_gone, rows_moved, totals_walked, totals_stored, digest_walked, digest_stored
)
VALUES (
    :account, :day, :walked_at, :first, :last, :verdict, :reason, :requests, :rows_walked, :rows_rejected,
    :rows_missing, :rows_differing, :rows_gone, :rows_moved, CAST(:totals_walked AS jsonb), CAST(:totals_stored AS jsonb),
    :digest_walked, :digest_stored
)
