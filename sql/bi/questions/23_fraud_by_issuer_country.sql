-- Where does reported fraud come from?
-- Reports received in the last 90 days, by the issuer's country and kind of fraud.
SELECT issuer_country, fraud_type, currency, count(*) AS reports, sum(amount) AS amount
FROM bi.fct_fraud
WHERE received_date >= bi.today() - 90
GROUP BY issuer_country, fraud_type, currency
ORDER BY reports DESC, issuer_country, fraud_type, currency
