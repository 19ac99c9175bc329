INSERT INTO core.currencies (currency, exponent, smallest_unit, source, valid_from, valid_to)
VALUES (:currency, :exponent, :smallest_unit, :source, :valid_from, :valid_to)
