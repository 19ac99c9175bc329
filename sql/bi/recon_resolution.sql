-- bi.recon_resolution: how long breaks took from when they were found to when they were explained or no longer found.
CREATE OR REPLACE VIEW bi.recon_resolution AS
SELECT b.account, ended.ended_date, b.break_type, ended.outcome,
       count(*) AS breaks,
       CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.minutes) AS bigint) AS median_minutes,
       CAST(max(ended.minutes) AS bigint) AS longest_minutes
FROM recon.breaks b
JOIN LATERAL (
    SELECT core.business_date(e.at) AS ended_date, e.event AS outcome, extract(epoch FROM e.at - b.opened_at) / 60 AS minutes
    FROM recon.break_events e
    WHERE e.account = b.account AND e.break_id = b.break_id AND e.event IN ('explained', 'resolved')
    ORDER BY e.event_id
    LIMIT 1
) AS ended ON b.state <> 'open'
GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW bi.recon_resolution IS 'One row a business day, type and outcome of breaks that are no longer open: how long they took until they were first explained or resolved.';
COMMENT ON COLUMN bi.recon_resolution.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.recon_resolution.ended_date IS 'Business day on which they were first explained or resolved.';
COMMENT ON COLUMN bi.recon_resolution.break_type IS 'Type of the breaks; docs/reconciliation.md.';
COMMENT ON COLUMN bi.recon_resolution.outcome IS 'explained (somebody said why) or resolved (no longer found), whichever came first.';
COMMENT ON COLUMN bi.recon_resolution.breaks IS 'How many.';
COMMENT ON COLUMN bi.recon_resolution.median_minutes IS 'Minutes from when a break was found to its end: half of them took less.';
COMMENT ON COLUMN bi.recon_resolution.longest_minutes IS 'Minutes that the longest one took.';
