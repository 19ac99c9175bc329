DELETE FROM bi.fct_payments f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id
