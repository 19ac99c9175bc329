SELECT count(*) AS balances, count(*) FILTER (WHERE status = 'explained') AS explained,
       count(*) FILTER (WHERE status = 'lag') AS lag, count(*) FILTER (WHERE status = 'unexplained') AS unexplained,
       count(*) FILTER (WHERE status IN ('no opening', 'no closing')) AS without_snapshot
FROM rolled
