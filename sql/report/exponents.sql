-- The decimals of each currency on the day: the platform's own count where it was overridden, else ISO 4217.
SELECT DISTINCT ON (currency) currency, exponent
FROM core.currencies
WHERE valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)
ORDER BY currency, source = 'override' DESC, valid_from DESC
