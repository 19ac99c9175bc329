-- Which decline reasons grew this week?
-- The last seven days against the seven before.
SELECT payment_provider_code, payment_provider_message,
       coalesce(sum(operations) FILTER (WHERE business_date >= bi.today() - 7), 0) AS this_week,
       coalesce(sum(operations) FILTER (WHERE business_date < bi.today() - 7), 0) AS week_before
FROM bi.decline_reasons_daily
WHERE business_date >= bi.today() - 14 AND business_date < bi.today()
GROUP BY payment_provider_code, payment_provider_message
ORDER BY this_week DESC, payment_provider_code
LIMIT 20
