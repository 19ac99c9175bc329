-- Fresh temporary tables have no statistics.
ANALYZE new_windows, touched_states, stale_days, stale_payments
