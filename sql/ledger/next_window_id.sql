SELECT nextval('sync.window_ids')
