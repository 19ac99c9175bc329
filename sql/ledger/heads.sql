SELECT DISTINCT ON (account) account, entry_no, encode(entry_hash, 'hex') AS head, committed_at
FROM sync.windows
ORDER BY account, entry_no DESC
