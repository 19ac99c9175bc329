INSERT INTO sync.erasures (account, operations, operation_versions, fraud_reports, rejects, pages, documents)
VALUES (:account, :operations, :operation_versions, :fraud_reports, :rejects, :pages, :documents)
