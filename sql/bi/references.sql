-- References of the facts to the dimensions, which the first build makes (`references` of sql/marts.sql).

ALTER TABLE bi.daily_overview
    ADD FOREIGN KEY (business_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project,
    ADD FOREIGN KEY (operation_type, operation_status) REFERENCES bi.dim_operation_status;

ALTER TABLE bi.fct_payments
    ADD FOREIGN KEY (first_operation_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (last_operation_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project;

ALTER TABLE bi.fct_balances_daily
    ADD FOREIGN KEY (business_date) REFERENCES bi.dim_date;

ALTER TABLE bi.approval_by_method_daily
    ADD FOREIGN KEY (business_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project;

ALTER TABLE bi.decline_reasons_daily
    ADD FOREIGN KEY (business_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project;

ALTER TABLE bi.fct_retries
    ADD FOREIGN KEY (first_failed_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project;

ALTER TABLE bi.fct_refunds
    ADD FOREIGN KEY (refunded_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (sold_date) REFERENCES bi.dim_date,
    ADD FOREIGN KEY (account, project_id) REFERENCES bi.dim_project;
