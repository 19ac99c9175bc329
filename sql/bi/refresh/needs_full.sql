-- Built with other currencies or settings, or not yet at all: build everything.
SELECT 1
FROM core.settings s
WHERE s.key = 'reference_fingerprint'
  AND NOT EXISTS (SELECT 1 FROM sync.mart_refreshes m WHERE m.mart_group = 'operations')
   OR EXISTS (
    SELECT 1 FROM sync.mart_refreshes m
    WHERE m.mart_group = 'operations' AND s.key = 'reference_fingerprint' AND m.reference_fingerprint <> s.value)
