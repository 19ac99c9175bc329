-- One refresh at a time; takes no snapshot, so what the refresh before committed is seen.
LOCK TABLE sync.mart_refreshes IN SHARE ROW EXCLUSIVE MODE
