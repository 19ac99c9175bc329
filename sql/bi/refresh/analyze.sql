-- Fresh temporary tables have no statistics; the small table that says what is counted may have old ones.
ANALYZE new_windows, touched_states, stale_days, stale_payments, core.account_projects
