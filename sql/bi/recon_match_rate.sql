-- bi.recon_match_rate: how much of a business day found its other side, by the pass that matched it.
CREATE OR REPLACE VIEW bi.recon_match_rate AS
SELECT latest.account, latest.business_date, passes.pass,
       passes.matches,
       CAST(latest.figures ->> 'operations_required' AS bigint) AS operations,
       CAST(latest.figures ->> 'operations_alone' AS bigint) AS operations_alone,
       CAST(latest.figures ->> 'entries' AS bigint) AS entries,
       CAST(latest.figures ->> 'entries_alone' AS bigint) AS entries_alone,
       CAST(1 - CAST(latest.figures ->> 'operations_alone' AS numeric)
           / nullif(CAST(latest.figures ->> 'operations_required' AS numeric), 0) AS numeric(7, 6)) AS match_rate
FROM (
    SELECT DISTINCT ON (account, business_date) account, business_date, figures
    FROM recon.runs WHERE leg = 'books' AND CAST(figures ->> 'has_books' AS boolean)
    ORDER BY account, business_date, run_no DESC
) AS latest
CROSS JOIN LATERAL (
    SELECT made.pass, coalesce(CAST(latest.figures -> 'matches' ->> made.pass AS bigint), 0) AS matches
    FROM unnest(ARRAY['manual', 'operation_id', 'payment', 'reference', 'amount_time']) AS made(pass)
) AS passes;
COMMENT ON VIEW bi.recon_match_rate IS 'One row a business day held against the own books and pass: what it matched, and how much of the day found its other side.';
COMMENT ON COLUMN bi.recon_match_rate.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.recon_match_rate.business_date IS 'Business day, by its last reconciliation.';
COMMENT ON COLUMN bi.recon_match_rate.pass IS 'What made the matches: manual, operation_id, payment, reference, amount_time.';
COMMENT ON COLUMN bi.recon_match_rate.matches IS 'Matches that this pass made on the day.';
COMMENT ON COLUMN bi.recon_match_rate.operations IS 'Operations of the day that the books must have; the same in each row of the day.';
COMMENT ON COLUMN bi.recon_match_rate.operations_alone IS 'Those of them without an entry; the same in each row of the day.';
COMMENT ON COLUMN bi.recon_match_rate.entries IS 'Entries of the day; the same in each row of the day.';
COMMENT ON COLUMN bi.recon_match_rate.entries_alone IS 'Those of them without an operation; the same in each row of the day.';
COMMENT ON COLUMN bi.recon_match_rate.match_rate IS 'Part of the operations that have an entry, 0 to 1, by all passes; NULL: none was required.';
