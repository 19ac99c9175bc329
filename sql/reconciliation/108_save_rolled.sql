INSERT INTO recon.balance_rollforward
SELECT * FROM rolled
ON CONFLICT (account, business_date, balance_name, currency) DO NOTHING
