-- Every day of the years that the facts are in, to the end of next year; a stray date in a far year brings its year
-- only.
INSERT INTO bi.dim_date
SELECT day, extract(isoyear FROM day), extract(week FROM day), extract(isodow FROM day), date_trunc('week', day)::date,
       extract(year FROM day), extract(quarter FROM day), extract(month FROM day),
       date_trunc('month', day)::date, month_end, day = month_end, extract(isodow FROM day) > 5,
       extract(year FROM fiscal_start + interval '1 year' - interval '1 day'),
       (fiscal_month - 1) / 3 + 1, fiscal_month, fiscal_start
FROM (
    SELECT business_date AS day,
           (date_trunc('month', business_date) + interval '1 month' - interval '1 day')::date AS month_end,
           ((extract(month FROM business_date)::integer - first_month + 12) % 12) + 1 AS fiscal_month,
           (date_trunc('month', business_date)
            - make_interval(months => (extract(month FROM business_date)::integer - first_month + 12) % 12))::date
               AS fiscal_start
    FROM (SELECT value::integer AS first_month FROM core.settings WHERE key = 'fiscal_year_start_month') AS s
    CROSS JOIN (
        WITH met AS (
            SELECT extract(year FROM business_date)::integer AS year FROM new_daily_overview
            UNION SELECT extract(year FROM first_operation_date)::integer FROM new_payments
            UNION SELECT extract(year FROM last_operation_date)::integer FROM new_payments
            UNION SELECT extract(year FROM business_date)::integer FROM new_balances_daily
        ), years AS (
            SELECT year FROM met
            UNION SELECT generate_series(
                (SELECT least(min(year), extract(year FROM now())::integer) FROM met WHERE year >= 2000),
                extract(year FROM now())::integer + 1)
        )
        SELECT make_date(year, 1, 1) + days.number AS business_date
        FROM years, generate_series(0, 365) AS days (number)
        WHERE make_date(year, 1, 1) + days.number < make_date(year + 1, 1, 1)
    ) AS days
) AS day
ON CONFLICT (business_date) DO NOTHING
