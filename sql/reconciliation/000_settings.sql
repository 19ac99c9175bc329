-- For this transaction: memory for hash joins over a day of a million rows, and the name that the history shows.
SELECT set_config('work_mem', '192MB', true), set_config('jit', 'off', true), set_config('recon.actor', 'reconcile', true)
