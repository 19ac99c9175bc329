-- name: setting
SELECT value FROM core.settings WHERE key = :key

-- name: is_time_zone
-- Does the server know the zone by this very name? Its list can be older than ours.
SELECT 1 FROM pg_timezone_names WHERE name = :zone

-- name: set
INSERT INTO core.settings (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()
WHERE core.settings.value IS DISTINCT FROM excluded.value

-- name: forget_currencies
DELETE FROM core.currencies

-- name: add_currency
INSERT INTO core.currencies (currency, exponent, smallest_unit, source, valid_from, valid_to)
VALUES (:currency, :exponent, :smallest_unit, :source, :valid_from, :valid_to)
