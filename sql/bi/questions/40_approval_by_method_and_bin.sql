-- Which BINs decline most?
-- Of the last 30 days, the twenty with most declines, by payment method; needs bin in SYNC_FIELDS.
SELECT payment_method_type, bin, country_by_bin, sum(attempts) AS attempts, sum(declined) AS declined,
       round(sum(approved) / sum(attempts), 4) AS approval_rate
FROM bi.approval_by_method_daily
WHERE business_date >= bi.today() - 30
GROUP BY payment_method_type, bin, country_by_bin
ORDER BY declined DESC, payment_method_type, bin
LIMIT 20
