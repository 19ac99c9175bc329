INSERT INTO sync.erasures (account, operations, operation_versions, fraud_reports, rejects, pages)
VALUES (:account, :operations, :operation_versions, :fraud_reports, :rejects, :pages)
