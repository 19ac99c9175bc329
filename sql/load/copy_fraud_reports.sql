-- CSV in the order of the columns of core.fraud_reports; an empty unquoted value is NULL.
COPY staging_fraud_reports FROM STDIN (FORMAT csv)
