-- The decimals of each currency on the day.
SELECT currency, exponent
FROM core.currencies
WHERE valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)
ORDER BY currency COLLATE "C"
