-- name: setting
SELECT value FROM core.settings WHERE key = :key

-- name: settings
SELECT key, value FROM core.settings

-- name: is_loaded
-- Whether something depends on the settings already: a run, or an imported ledger.
SELECT 1 WHERE EXISTS (SELECT FROM sync.runs) OR EXISTS (SELECT FROM recon.ledger_imports)

-- name: accounts
SELECT account FROM sync.runs UNION SELECT account FROM recon.ledger_imports ORDER BY account

-- name: lock
-- One process at a time writes settings; the same key as that of migrations.
SELECT pg_advisory_xact_lock(hashtextextended('ecommpay-sync migrations', 0))

-- name: is_time_zone
-- Does the server know the zone by this very name? Its list can be older than ours.
SELECT 1 FROM pg_timezone_names WHERE name = :zone

-- name: other_time
-- Which of these moments, the nearest to now, this server shows as another time of the zone than we do. Its time zone data
-- can be older or newer, and of some names (CET) it makes an abbreviation, which has no summer time.
SELECT m.moment, m.ours, m.moment AT TIME ZONE :zone AS theirs
FROM unnest(CAST(:moments AS timestamptz[]), CAST(:ours AS timestamp[])) AS m (moment, ours)
WHERE m.moment AT TIME ZONE :zone <> m.ours
ORDER BY abs(extract(epoch FROM m.moment - now())) LIMIT 1

-- name: set
INSERT INTO core.settings (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()
WHERE core.settings.value IS DISTINCT FROM excluded.value

-- name: forget_currencies
DELETE FROM core.currencies

-- name: add_currency
INSERT INTO core.currencies (currency, exponent, smallest_unit, source, valid_from, valid_to)
VALUES (:currency, :exponent, :smallest_unit, :source, :valid_from, :valid_to)
