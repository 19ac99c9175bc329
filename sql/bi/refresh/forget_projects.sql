-- For a full build: which projects each account sees is found anew.
DELETE FROM core.account_projects
