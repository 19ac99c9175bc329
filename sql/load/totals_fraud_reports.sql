-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT tr_ccy AS currency, fraud_type AS type, NULL AS status, count(*) AS row_count, sum(tr_amount_minor) AS minor
FROM staging_fraud_reports
GROUP BY 1, 2
