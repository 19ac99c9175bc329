SELECT account, stream, count(*) AS documents, max(observed_at) AS last_changed,
       (SELECT max(w.walk_started_at) FROM sync.windows w
        WHERE w.account = d.account AND w.stream = d.stream AND w.verdict = 'complete') AS last_walked
FROM core.documents d
GROUP BY account, stream
ORDER BY account, stream
