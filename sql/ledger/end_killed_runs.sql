UPDATE sync.runs AS r SET finished_at = clock_timestamp(), state = 'failed',
    message = 'its process was killed, or lost the database; what it had committed stays'
WHERE r.account = :account AND r.state = 'running' AND sync.was_killed(r)
