SELECT account, stream, count(*) AS rejects FROM core.rejects GROUP BY account, stream
