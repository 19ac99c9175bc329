-- bi.refund_cohorts: of what was sold on a day, how much was given back since, and how soon.
CREATE OR REPLACE VIEW bi.refund_cohorts AS
SELECT sale.account, sale.business_date AS sold_date, sale.project_id, sale.currency,
       sale.operations AS sales, sale.amount_minor AS sold_minor, sale.amount AS sold,
       coalesce(refund.operations, 0) AS refunds,
       coalesce(refund.amount_minor, 0) AS refunded_minor, coalesce(refund.amount, 0 * sale.amount) AS refunded,
       coalesce(refund.within_30_days, 0) AS refunded_in_30_days_minor,
       round(coalesce(refund.amount_minor, 0) / nullif(sale.amount_minor, 0), 4) AS refund_rate,
       round(coalesce(refund.within_30_days, 0) / nullif(sale.amount_minor, 0), 4) AS refund_in_30_days_rate
FROM (
    SELECT account, business_date, project_id, currency, sum(operations)::bigint AS operations,
           coalesce(sum(amount_minor), 0) AS amount_minor, sum(amount) AS amount
    FROM bi.daily_overview
    WHERE operation_type IN ('sale', 'capture', 'recurring') AND operation_status IN (
        SELECT operation_status FROM core.operation_statuses WHERE is_success)
    GROUP BY account, business_date, project_id, currency
) AS sale
LEFT JOIN (
    SELECT account, sold_date, project_id, currency, count(*) AS operations, sum(amount_minor) AS amount_minor,
           sum(amount) AS amount, sum(amount_minor) FILTER (WHERE days_to_refund <= 30) AS within_30_days
    FROM bi.fct_refunds
    WHERE sold_date IS NOT NULL
    GROUP BY account, sold_date, project_id, currency
) AS refund ON refund.account = sale.account AND refund.sold_date = sale.business_date
    AND refund.project_id = sale.project_id AND refund.currency = sale.currency;
COMMENT ON VIEW bi.refund_cohorts IS 'Refunds by the business day of the sale that they give back, project and currency: of what was sold that day, how much was given back since, and how much within 30 days. Payments without a payment_id count as sold, and their refunds nowhere. To sum up, divide the sums: never average the rates.';
COMMENT ON COLUMN bi.refund_cohorts.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.refund_cohorts.sold_date IS 'Business day of the sales.';
COMMENT ON COLUMN bi.refund_cohorts.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.refund_cohorts.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.refund_cohorts.sales IS 'Successful sales, captures and recurring of the day.';
COMMENT ON COLUMN bi.refund_cohorts.sold_minor IS 'Their sum in minor units of currency.';
COMMENT ON COLUMN bi.refund_cohorts.sold IS 'The same in major units.';
COMMENT ON COLUMN bi.refund_cohorts.refunds IS 'Successful refunds and reversals of them, whenever they came.';
COMMENT ON COLUMN bi.refund_cohorts.refunded_minor IS 'Their sum in minor units of currency.';
COMMENT ON COLUMN bi.refund_cohorts.refunded IS 'The same in major units.';
COMMENT ON COLUMN bi.refund_cohorts.refunded_in_30_days_minor IS 'Those of them within 30 business days, in minor units of currency.';
COMMENT ON COLUMN bi.refund_cohorts.refund_rate IS 'refunded_minor / sold_minor, 0 to 1, four decimals.';
COMMENT ON COLUMN bi.refund_cohorts.refund_in_30_days_rate IS 'refunded_in_30_days_minor / sold_minor, likewise; of the last 30 days it still grows.';
