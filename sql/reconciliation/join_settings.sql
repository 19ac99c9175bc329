-- What is found and what is left of a day may be a million rows each, whatever the statistics of a time say when they
-- were not there: a loop of one over the other takes hours. 'off' keeps the planner from it, for this transaction.
SELECT set_config('enable_nestloop', :loops, true)
