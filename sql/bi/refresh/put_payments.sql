INSERT INTO bi.fct_payments (
    account, project_id, payment_id, currency, payment_status, operations, authorised_minor, authorised,
    captured_minor, captured, sold_minor, sold, refunded_minor, refunded, reversed_minor, reversed, paid_out_minor,
    paid_out, net_minor, net, is_pending, first_operation_at, first_operation_date, last_operation_at,
    last_operation_date, first_approved_at)
SELECT
    account, project_id, payment_id, currency, payment_status, operations, authorised_minor, authorised,
    captured_minor, captured, sold_minor, sold, refunded_minor, refunded, reversed_minor, reversed, paid_out_minor,
    paid_out, net_minor, net, is_pending, first_operation_at, first_operation_date, last_operation_at,
    last_operation_date, first_approved_at
FROM new_payments
