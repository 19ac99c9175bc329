-- Rows of which none is stored: half the work of staging and merging them. An empty unquoted value is NULL.
-- The account is locked (load/lock_account); what arrived is held against what was sent by load/add_window.
COPY core.documents FROM STDIN (FORMAT csv)
