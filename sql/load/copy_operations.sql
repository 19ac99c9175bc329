-- CSV in the order of the columns of core.operations; an empty unquoted value is NULL.
COPY staging_operations FROM STDIN (FORMAT csv)
