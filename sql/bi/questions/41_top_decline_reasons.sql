-- What are the top reasons of declines?
-- Of the last 30 days, with their share of all attempts that were declined or failed.
SELECT operation_status, payment_provider_code, payment_provider_message, sum(operations) AS operations,
       round(sum(operations) / sum(sum(operations)) OVER (), 4) AS share
FROM bi.decline_reasons_daily
WHERE business_date >= bi.today() - 30
GROUP BY operation_status, payment_provider_code, payment_provider_message
ORDER BY operations DESC, payment_provider_code
LIMIT 20
