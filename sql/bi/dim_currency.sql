-- bi.dim_currency: decimals of each currency, by period.
CREATE OR REPLACE VIEW bi.dim_currency AS
SELECT currency, valid_from AS valid_from_date, valid_to AS valid_to_date, exponent, smallest_unit,
       source = 'override' AS is_override, valid_to IS NULL AS is_current
FROM core.currencies;
COMMENT ON VIEW bi.dim_currency IS 'Decimals of each currency, by period: ISO 4217, and where the platform counts otherwise (SYNC_CURRENCY_EXPONENTS). Join on currency with is_current, or with the day.';
COMMENT ON COLUMN bi.dim_currency.currency IS 'ISO 4217 alpha-3 code, or the platform''s own.';
COMMENT ON COLUMN bi.dim_currency.valid_from_date IS 'First business day on which it holds.';
COMMENT ON COLUMN bi.dim_currency.valid_to_date IS 'First business day on which it no longer holds; NULL: it still does.';
COMMENT ON COLUMN bi.dim_currency.exponent IS 'How many decimals an amount in major units has.';
COMMENT ON COLUMN bi.dim_currency.smallest_unit IS 'What one minor unit is worth in major units, exactly.';
COMMENT ON COLUMN bi.dim_currency.is_override IS 'The platform counts otherwise than ISO 4217 says.';
COMMENT ON COLUMN bi.dim_currency.is_current IS 'Whether it is the period that holds now.';
