-- bi.recon_days: how far the reconciliation and the close of each business day have come.
CREATE OR REPLACE VIEW bi.recon_days AS
SELECT d.account, d.business_date, d.completeness, d.books_at, d.open_breaks,
       c.business_date IS NOT NULL AS is_closed, c.known_at AS closed_at, coalesce(c.with_open_breaks, false) AS is_closed_with_open_breaks
FROM recon.days d
LEFT JOIN recon.closed_days c ON c.account = d.account AND c.business_date = d.business_date;
COMMENT ON VIEW bi.recon_days IS 'One row a business day that was reconciled: proof, open breaks, and whether it is closed.';
COMMENT ON COLUMN bi.recon_days.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.recon_days.business_date IS 'Business day.';
COMMENT ON COLUMN bi.recon_days.completeness IS 'Verdict of its last fresh walk: complete, differs, incomplete; NULL: none.';
COMMENT ON COLUMN bi.recon_days.books_at IS 'When it was last held against the own books; NULL: never.';
COMMENT ON COLUMN bi.recon_days.open_breaks IS 'Breaks of the day that are open.';
COMMENT ON COLUMN bi.recon_days.is_closed IS 'Whether finance has closed it.';
COMMENT ON COLUMN bi.recon_days.closed_at IS 'Moment of knowledge of its sealed figures; NULL: not closed.';
COMMENT ON COLUMN bi.recon_days.is_closed_with_open_breaks IS 'Whether it was closed although breaks were open.';
