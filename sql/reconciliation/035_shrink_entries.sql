DELETE FROM left_entries e USING new_links n WHERE n.entry_id = e.entry_id
