INSERT INTO recon.close_preparations (account, business_date, prepared_by, figures_sha256)
VALUES (:account, :day, :by, :figures)
RETURNING prepared_at, database_user
