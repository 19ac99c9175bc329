-- Projects that the tokens of several accounts see: the marts count each for one account. Which projects an account's
-- token has shown is added to by each build of the marts.

CREATE TABLE core.account_projects (
    account             text NOT NULL,
    project_id          text NOT NULL,
    first_committed_at  timestamptz NOT NULL,
    is_counted          boolean NOT NULL DEFAULT true,
    PRIMARY KEY (account, project_id)
);
COMMENT ON TABLE core.account_projects IS 'Every project that an account''s token has shown, and whether the marts count it for that account: of several accounts one only.';
COMMENT ON COLUMN core.account_projects.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.account_projects.project_id IS 'The platform''s project id, digits.';
COMMENT ON COLUMN core.account_projects.first_committed_at IS 'When the first window with the project was committed for this account.';
COMMENT ON COLUMN core.account_projects.is_counted IS 'Whether bi.* counts it here: the owner that the settings name, else the account that saw it first.';

CREATE TABLE core.project_owners (
    account     text NOT NULL,
    project_id  text NOT NULL UNIQUE,
    PRIMARY KEY (account, project_id)
);
COMMENT ON TABLE core.project_owners IS 'Whose a project is by the settings (SYNC_PROJECT_OWNERS or [projects] of ACCOUNTS_FILE), as of the last build of the marts.';
COMMENT ON COLUMN core.project_owners.account IS 'The account for which the marts count it, once its token has shown it.';
COMMENT ON COLUMN core.project_owners.project_id IS 'The platform''s project id, digits.';

INSERT INTO core.account_projects (account, project_id, first_committed_at)
SELECT state.account, state.project_id, min(w.committed_at)
FROM (
    SELECT account, project_id, window_id FROM core.operations GROUP BY 1, 2, 3
    UNION SELECT account, project_id, window_id FROM core.operation_versions
    UNION SELECT account, project_id, window_id FROM core.fraud_reports
    UNION SELECT account, project_id, window_id FROM core.fraud_report_versions
) AS state
JOIN sync.windows w ON w.window_id = state.window_id
WHERE state.project_id IS NOT NULL
GROUP BY 1, 2;
