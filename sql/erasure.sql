-- name: who
-- In this file case counts by the database's locale and by "C": in Turkish I is no capital i, in C É none of é.
-- Every id and address the person is known by: an address brings its customer ids, a customer id its addresses.
WITH known AS (
    SELECT customer_id, customer_email FROM core.operations
    WHERE account = :account AND (customer_id = :customer OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower))
    UNION
    SELECT customer_id, customer_email FROM core.operation_versions
    WHERE account = :account AND (customer_id = :customer OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower))
)
SELECT customer_id AS value FROM known WHERE customer_id IS NOT NULL
UNION SELECT customer_email FROM known WHERE customer_email IS NOT NULL
UNION SELECT CAST(:customer AS text)

-- name: operations
-- Keys, amounts, statuses and times stay, and with them every total.
UPDATE core.operations SET
    account_number = NULL, customer_ip = NULL, payment_description = NULL, card_holder = NULL, card_token = NULL,
    expiration_date = NULL, avs_post_code = NULL, avs_street_address = NULL, customer_id = NULL, customer_email = NULL,
    extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower) OR operation_id IN (
    SELECT operation_id FROM core.operation_versions
    WHERE account = :account AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower))))
RETURNING operation_id

-- name: operation_versions
-- Keys, amounts, statuses and times stay, and with them every total.
UPDATE core.operation_versions SET
    account_number = NULL, customer_ip = NULL, payment_description = NULL, card_holder = NULL, card_token = NULL,
    expiration_date = NULL, avs_post_code = NULL, avs_street_address = NULL, customer_id = NULL, customer_email = NULL,
    extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower) OR operation_id = ANY(:operation_ids))
RETURNING operation_id

-- name: fraud_reports
UPDATE core.fraud_reports SET account_number = NULL, customer_id = NULL, customer_email = NULL, extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower) OR operation_id = ANY(:operation_ids))

-- name: fraud_report_versions
UPDATE core.fraud_report_versions SET account_number = NULL, customer_id = NULL, customer_email = NULL, extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower)
       OR lower(customer_email COLLATE "C") = ANY(:who_lower) OR operation_id = ANY(:operation_ids))

-- name: record
INSERT INTO sync.erasures (account, operations, operation_versions, fraud_reports, rejects, pages, documents)
VALUES (:account, :operations, :operation_versions, :fraud_reports, :rejects, :pages, :documents)

-- name: rejects
SELECT stream, row_sha256, raw_json FROM core.rejects WHERE account = :account

-- name: redact_reject
UPDATE core.rejects SET raw_json = :raw_json
WHERE account = :account AND stream = :stream AND row_sha256 = :row_sha256

-- name: pages_after
SELECT page_id, endpoint, body_bytes, body_zstd FROM raw.pages
WHERE account = :account AND page_id > :page_id AND body_zstd IS NOT NULL ORDER BY page_id LIMIT 50

-- name: redact_page
UPDATE raw.pages SET body_zstd = :body_zstd, body_bytes = :body_bytes, erased_at = now()
WHERE account = :account AND page_id = :page_id

-- name: documents_named
-- Documents in which one of some texts stands anywhere, in whatever case: what they really say is looked at after this.
SELECT 'documents' AS source, account, stream, document_key, observed_at, document::text AS text FROM core.documents d
WHERE account = :account
  AND EXISTS (SELECT FROM unnest(CAST(:needles AS text[])) AS n (needle)
              WHERE strpos(lower(d.document::text), lower(n.needle)) > 0
                 OR strpos(lower(d.document::text COLLATE "C"), n.needle) > 0
                 OR strpos(lower(d.document_key), lower(n.needle)) > 0
                 OR strpos(lower(d.document_key COLLATE "C"), n.needle) > 0)
UNION ALL
SELECT 'document_versions', account, stream, document_key, observed_at, document::text FROM core.document_versions d
WHERE account = :account
  AND EXISTS (SELECT FROM unnest(CAST(:needles AS text[])) AS n (needle)
              WHERE strpos(lower(d.document::text), lower(n.needle)) > 0
                 OR strpos(lower(d.document::text COLLATE "C"), n.needle) > 0
                 OR strpos(lower(d.document_key), lower(n.needle)) > 0
                 OR strpos(lower(d.document_key COLLATE "C"), n.needle) > 0)

-- name: redact_document_versions
UPDATE core.document_versions SET
    document = CAST(:document AS jsonb), document_sha256 = :document_sha256, document_key = :new_key
WHERE account = :account AND stream = :stream AND document_key = :document_key AND observed_at = :observed_at

-- name: redact_documents
UPDATE core.documents SET
    document = CAST(:document AS jsonb), document_sha256 = :document_sha256, document_key = :new_key
WHERE account = :account AND stream = :stream AND document_key = :document_key AND observed_at = :observed_at
