COPY staging_entries FROM STDIN
