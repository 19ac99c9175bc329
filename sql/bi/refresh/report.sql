SELECT (SELECT count(*) FROM stale_days) AS days, (SELECT count(*) FROM stale_payments) AS payments,
       (SELECT count(*) FROM new_windows) AS windows, transaction_timestamp() AS refreshed_at
