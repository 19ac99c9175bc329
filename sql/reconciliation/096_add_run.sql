INSERT INTO recon.runs (account, business_date, leg, started_at, figures)
VALUES (:account, :day, :leg, :started_at, CAST(:figures AS jsonb))
