DELETE FROM recon.balance_rollforward f
WHERE f.account = :account AND f.business_date = :day AND NOT EXISTS (SELECT FROM rolled r WHERE r = f)
