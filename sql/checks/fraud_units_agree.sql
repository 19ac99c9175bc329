-- Reports, received in what these runs walked, whose amount in major units is not the operation's in minor units:
-- neither of the operation's sums that are in the report's currency equals tr_amount × 10^exponent.
SELECT f.report_key, f.operation_id, f.tr_amount, f.tr_ccy, f.tr_amount_minor,
       o.sum_initial_amount, o.sum_initial_currency, o.sum_converted_amount, o.sum_converted_currency
FROM core.fraud_reports f
JOIN core.operations o ON o.account = f.account AND o.operation_id = f.operation_id
WHERE EXISTS (
        SELECT FROM sync.windows w
        WHERE w.run_id = ANY(:run_ids) AND w.account = f.account
          AND (w.window_id = f.window_id OR f.received_on BETWEEN w.interval_from AND w.interval_to)
      )
  AND f.tr_amount_minor IS NOT NULL
  AND f.tr_ccy IN (o.sum_initial_currency, o.sum_converted_currency)
  AND (f.tr_ccy = o.sum_initial_currency AND f.tr_amount_minor = o.sum_initial_amount) IS NOT TRUE
  AND (f.tr_ccy = o.sum_converted_currency AND f.tr_amount_minor = o.sum_converted_amount) IS NOT TRUE
ORDER BY f.report_key
LIMIT 100
