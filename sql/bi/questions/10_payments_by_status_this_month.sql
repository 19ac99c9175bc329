-- Payments begun this month by status
-- How payments ended, by currency.
SELECT payment_status, currency, count(*) AS payments, sum(net) AS net_amount, sum(net_minor) AS net_minor
FROM bi.fct_payments
WHERE first_operation_date >= date_trunc('month', bi.today())::date
GROUP BY payment_status, currency
ORDER BY currency, payments DESC, payment_status
