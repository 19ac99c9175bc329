-- Why were operations declined yesterday?
-- The providers' own codes and words. Reads single operations, so it names the account and bounds business_at.
SELECT payment_provider_code, payment_provider_message, count(*) AS operations
FROM bi.fct_operations
WHERE account = 'default' AND business_at >= bi.day_starts_at(bi.today() - 1) AND business_at < bi.day_starts_at(bi.today())
  AND operation_status = 'decline'
GROUP BY payment_provider_code, payment_provider_message
ORDER BY operations DESC, payment_provider_code
LIMIT 20
