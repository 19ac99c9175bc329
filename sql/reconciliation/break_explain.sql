UPDATE recon.breaks SET state = 'explained', owner = :by, note = :note, changed_at = clock_timestamp()
WHERE account = :account AND break_id = :break_id AND state <> 'resolved'
RETURNING break_type, state
