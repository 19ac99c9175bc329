CREATE TEMPORARY TABLE rolled (LIKE recon.balance_rollforward) ON COMMIT DROP
