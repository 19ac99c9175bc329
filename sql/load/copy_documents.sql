-- CSV in the order of the columns of core.documents; an empty unquoted value is NULL.
COPY staging_documents FROM STDIN (FORMAT csv)
