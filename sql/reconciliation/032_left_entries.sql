INSERT INTO left_entries
SELECT * FROM pool_entries e WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.entry_id = e.entry_id)
