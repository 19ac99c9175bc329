UPDATE sync.alerts SET resolved_at = :now
WHERE account = :account AND resolved_at IS NULL AND kind = ANY(CAST(:kinds AS text[]))
  AND cause <> ALL(CAST(:causes AS text[]))
