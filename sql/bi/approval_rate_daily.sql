-- bi.approval_rate_daily: of the attempts to take money that came to an end, how many were approved.
CREATE OR REPLACE VIEW bi.approval_rate_daily AS
SELECT account, business_date, project_id, currency, operation_type,
       sum(operations)::bigint AS attempts,
       coalesce(sum(operations) FILTER (WHERE operation_status = 'success'), 0)::bigint AS approved,
       coalesce(sum(operations) FILTER (WHERE operation_status = 'decline'), 0)::bigint AS declined,
       coalesce(sum(operations) FILTER (WHERE operation_status = 'error'), 0)::bigint AS failed,
       round(coalesce(sum(operations) FILTER (WHERE operation_status = 'success'), 0) / sum(operations), 4) AS approval_rate,
       coalesce(sum(amount_minor), 0) AS attempted_minor,
       sum(amount) AS attempted,
       coalesce(sum(amount_minor) FILTER (WHERE operation_status = 'success'), 0) AS approved_minor,
       coalesce(sum(amount) FILTER (WHERE operation_status = 'success'), 0 * sum(amount)) AS approved_amount
FROM bi.daily_overview
WHERE operation_type IN ('sale', 'auth', 'recurring') AND operation_status IN ('success', 'decline', 'error')
GROUP BY account, business_date, project_id, currency, operation_type;
COMMENT ON VIEW bi.approval_rate_daily IS 'Approval by business day, project, currency and type. An attempt is a sale, auth or recurring that came to an end: success, decline or error. To sum up, divide sum(approved) by sum(attempts): never average the rates.';
COMMENT ON COLUMN bi.approval_rate_daily.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.approval_rate_daily.business_date IS 'Day of completion in the reporting zone.';
COMMENT ON COLUMN bi.approval_rate_daily.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.approval_rate_daily.currency IS 'ISO 4217 alpha-3 code of the amounts.';
COMMENT ON COLUMN bi.approval_rate_daily.operation_type IS 'sale, auth or recurring.';
COMMENT ON COLUMN bi.approval_rate_daily.attempts IS 'How many came to an end.';
COMMENT ON COLUMN bi.approval_rate_daily.approved IS 'How many of them with success.';
COMMENT ON COLUMN bi.approval_rate_daily.declined IS 'How many of them with decline: the issuer or a rule said no.';
COMMENT ON COLUMN bi.approval_rate_daily.failed IS 'How many of them with error: something technical.';
COMMENT ON COLUMN bi.approval_rate_daily.approval_rate IS 'approved / attempts, 0 to 1, four decimals.';
COMMENT ON COLUMN bi.approval_rate_daily.attempted_minor IS 'Sum of the attempts in minor units of currency.';
COMMENT ON COLUMN bi.approval_rate_daily.attempted IS 'The same in major units.';
COMMENT ON COLUMN bi.approval_rate_daily.approved_minor IS 'Sum of the approved in minor units of currency.';
COMMENT ON COLUMN bi.approval_rate_daily.approved_amount IS 'The same in major units.';
