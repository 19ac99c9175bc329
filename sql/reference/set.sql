INSERT INTO core.settings (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()
WHERE core.settings.value IS DISTINCT FROM excluded.value
