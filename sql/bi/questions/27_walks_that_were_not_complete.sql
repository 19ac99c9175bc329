-- Was any walk not complete?
-- Windows of the last 30 days that could not be shown complete; normally none.
SELECT DISTINCT account, stream, window_id, interval_from_at, interval_to_at, committed_at
FROM bi.control_totals
WHERE NOT is_complete AND committed_at >= now() - interval '30 days'
ORDER BY committed_at
