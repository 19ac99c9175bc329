SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_user AS role,
       has_database_privilege(current_database(), 'CREATE') AS may_create
