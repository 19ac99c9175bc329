-- After which answers does a retry succeed?
-- Last 90 days: of the payments retried after this answer, the share that was approved in the end.
SELECT payment_provider_code, payment_provider_message, count(*) AS payments,
       round(count(*) FILTER (WHERE outcome = 'approved') / count(*)::numeric, 4) AS approved_share
FROM bi.fct_retries
WHERE first_failed_date >= bi.today() - 90
GROUP BY payment_provider_code, payment_provider_message
ORDER BY payments DESC, payment_provider_code
LIMIT 20
