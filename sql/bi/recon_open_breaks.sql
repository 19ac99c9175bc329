-- bi.recon_open_breaks: what is open now, by age and owner; amounts by currency.
CREATE OR REPLACE VIEW bi.recon_open_breaks AS
SELECT b.account, b.break_type, coalesce(b.owner, '(none)') AS owner, b.age_bucket, coalesce(b.currency, '(none)') AS currency,
       count(*) AS breaks, count(*) FILTER (WHERE b.is_overdue) AS breaks_overdue, max(b.age_days) AS oldest_days,
       sum(abs(b.amount_minor)) AS amount_minor
FROM recon.aged_breaks b
WHERE b.state = 'open'
GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW bi.recon_open_breaks IS 'One row a type, owner, age and currency of open breaks, as of now.';
COMMENT ON COLUMN bi.recon_open_breaks.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.recon_open_breaks.break_type IS 'Type of the breaks; docs/reconciliation.md.';
COMMENT ON COLUMN bi.recon_open_breaks.owner IS 'Who looks after them; "(none)": nobody.';
COMMENT ON COLUMN bi.recon_open_breaks.age_bucket IS 'Days since their business day: 0–1, 2–3, 4–7, 8–30, over 30.';
COMMENT ON COLUMN bi.recon_open_breaks.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.recon_open_breaks.breaks IS 'How many.';
COMMENT ON COLUMN bi.recon_open_breaks.breaks_overdue IS 'Those of them past their due date (recon.break_deadlines).';
COMMENT ON COLUMN bi.recon_open_breaks.oldest_days IS 'Age of the oldest in days.';
COMMENT ON COLUMN bi.recon_open_breaks.amount_minor IS 'Sum of what is at stake in minor units of currency, without sign; NULL when none has an amount.';
