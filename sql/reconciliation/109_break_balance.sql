-- balance: what neither movements nor lag explain.
INSERT INTO found_breaks
SELECT 'balance ' || CAST(:day AS date) || ' ' || currency || ' ' || balance_name, business_date, 'balance', NULL, NULL,
       balance_name, currency, unexplained_minor, currency, closing_minor, NULL, NULL, NULL, NULL,
       'opening and movements do not give the closing balance', NULL
FROM rolled
WHERE status = 'unexplained'
