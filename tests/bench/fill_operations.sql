INSERT INTO sync.runs (account, stream, product_version, state, finished_at) VALUES ('default', 'operations', 'bench', 'complete', now());
INSERT INTO sync.windows (window_id, account, entry_no, run_id, stream, project_ids, interval_from, interval_to, verdict,
    walk_started_at, walk_ended_at, walks, drifts, pages, requests, rows_met, rows_new, rows_changed, rows_unchanged,
    rows_rejected, totals_met, totals_written, previous_hash, entry_hash)
SELECT n, 'default', 0, 1, 'operations', '{}', date_trunc('day', now()) - make_interval(days => {days} - n + 1),
       date_trunc('day', now()) - make_interval(days => {days} - n) - interval '1 second', 'complete', now(), now(),
       1, 0, 1, 1, 0, 0, 0, 0, 0, '[]', '[]', '', ''
FROM generate_series(1, {days}) AS n;
INSERT INTO core.operations (account, operation_id, project_id, payment_id, operation_type, operation_status, account_number,
    customer_ip, payment_method_name, payment_method_type, payment_description, operation_created_at, operation_completed_at,
    provider_date, sum_initial_amount, sum_initial_currency, sum_converted_amount, sum_converted_currency, arn, rrn,
    payment_provider_code, payment_provider_message, observed_at, first_seen_at, window_id)
SELECT 'default', (6435212160000 + n * 10)::text, (200 + h % 6)::text, 'order-' || (n - CASE WHEN h % 5 = 0 THEN 3 ELSE 0 END),
       (ARRAY['sale','sale','sale','auth','recurring','capture','refund','payout','reversal','sale'])[1 + h % 10],
       (ARRAY['success','success','success','success','decline','success','success','error','success','processing'])[1 + (h / 10) % 10],
       '411111******' || (h % 10000), '198.51.100.7', 'Card', (ARRAY['visa','mastercard','maestro'])[1 + h % 3],
       'Order ' || n, moment, CASE WHEN (h / 10) % 10 = 9 THEN NULL ELSE moment + interval '30 seconds' END,
       moment, 100 + h % 100000, (ARRAY['EUR','USD','JPY','GBP'])[1 + (h / 100) % 4], 100 + h % 100000, 'EUR',
       lpad(h::text, 23, '0'), lpad(h::text, 12, '0'), '00', 'Approved', moment + interval '1 hour', moment + interval '1 hour',
       1 + n * {days}::bigint / ({rows} + 1)
FROM (
    SELECT n, abs(hashint8(n))::bigint AS h,
           date_trunc('day', now()) - make_interval(days => {days}) + make_interval(secs => n::double precision * {days} * 86400 / {rows}) AS moment
    FROM generate_series(1, {rows}::bigint) AS n
) AS drawn;
-- night
INSERT INTO sync.windows (window_id, account, entry_no, run_id, stream, project_ids, interval_from, interval_to, verdict,
    walk_started_at, walk_ended_at, walks, drifts, pages, requests, rows_met, rows_new, rows_changed, rows_unchanged,
    rows_rejected, totals_met, totals_written, previous_hash, entry_hash)
VALUES (1000000, 'default', 0, 1, 'operations', '{}', now() - interval '4 days', now(), 'complete', now(), now(),
    1, 0, 1, 1, 0, 0, 0, 0, 0, '[]', '[]', '', '');
CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
SELECT * FROM core.operations
WHERE account = 'default' AND operation_completed_at >= now() - interval '4 days' AND hashtext(operation_id) % 50 = 0;
INSERT INTO core.operation_versions SELECT changed.*, now() FROM changed;
UPDATE core.operations o SET operation_status = 'decline', observed_at = now(), window_id = 1000000
FROM changed c WHERE c.account = o.account AND c.operation_id = o.operation_id;
