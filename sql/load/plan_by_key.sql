-- A fresh temporary table has no statistics, and a plan that reads the whole of core.operations for one window
-- gets slower every night: look up by key instead, whatever the guess. For this transaction only.
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
