-- What roles are told to do, they can do: the history of a break is written with its owner's rights, and names the login.

CREATE OR REPLACE FUNCTION recon.log_break() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO recon.break_events (account, break_id, event, actor, amount_minor, note)
    VALUES (NEW.account, NEW.break_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'opened'
             WHEN NEW.state = 'resolved' THEN 'resolved'
             WHEN OLD.state = 'resolved' THEN 'reopened'
             WHEN NEW.state = 'explained' THEN 'explained'
             ELSE 'changed' END,
        coalesce(nullif(current_setting('recon.actor', true), ''), session_user), NEW.amount_minor,
        CASE WHEN NEW.state = 'explained' THEN NEW.note ELSE NEW.detail END);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION recon.log_break() FROM PUBLIC;

COMMENT ON TABLE core.settings IS 'Settings that belong to the warehouse: written until the first load, then changed by `ecommpay-sync settings apply` alone.';
COMMENT ON COLUMN core.settings.key IS 'reporting_zone, fiscal_year_start_month, currency_exponents, first_day, personal_data (with the fingerprint of its key), and fingerprints of what was built from them.';
