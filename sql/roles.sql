-- The three roles and what each may do; run again after an upgrade. Needs to be run by a superuser, or by the owner of
-- the database and the schemas who has CREATEROLE (managed servers); an owner without it needs the roles to be there.
-- Names begin with the setting ecommpay_sync.role_prefix; no role gets a password here.
SET LOCAL ROLE NONE;  -- our sessions act as the schemas' owner
DO $$
DECLARE
    prefix text := current_setting('ecommpay_sync.role_prefix');
    loader text := prefix || '_loader';
    bi text := prefix || '_bi';
    finance text := prefix || '_finance';
    name text;
    item record;
BEGIN
    FOREACH name IN ARRAY ARRAY[loader, bi, finance] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE', name);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    END LOOP;

    -- the loader owns everything, so that it can migrate, load and build
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO %I', current_database(), loader);
    -- whoever made a role may give it away, but since PostgreSQL 16 not act as it unless granted
    IF current_user <> loader AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', loader);
    END IF;
    FOR item IN
        SELECT nspname FROM pg_namespace
        WHERE nspname IN ('core', 'raw', 'sync', 'bi', 'recon') AND pg_get_userbyid(nspowner) <> loader
    LOOP
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', item.nspname, loader);
    END LOOP;
    FOR item IN
        SELECT c.oid::regclass AS relation, c.relkind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('core', 'raw', 'sync', 'bi', 'recon') AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
          AND pg_get_userbyid(c.relowner) <> loader
          -- a sequence of an identity column goes with its table
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                          AND d.deptype IN ('i', 'a') AND c.relkind = 'S')
    LOOP
        EXECUTE format(
            'ALTER %s %s OWNER TO %I',
            CASE item.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
            item.relation, loader);
    END LOOP;
    FOR item IN
        SELECT p.oid::regprocedure AS routine
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('core', 'raw', 'sync', 'bi', 'recon') AND pg_get_userbyid(p.proowner) <> loader
    LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO %I', item.routine, loader);
    END LOOP;

    -- readers: bi.* alone, and nothing that they could write to
    EXECUTE format('REVOKE ALL ON SCHEMA core, raw, sync FROM PUBLIC');
    FOREACH name IN ARRAY ARRAY[bi, finance] LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA core, raw, sync FROM %I', name);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA core, raw, sync, bi FROM %I', name);
        EXECUTE format('GRANT USAGE ON SCHEMA bi TO %I', name);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA bi TO %I', name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA bi GRANT SELECT ON TABLES TO %I', loader, name);
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET statement_timeout = ''30s''', name, current_database());
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''5min''', name, current_database());
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = bi', name, current_database());
    END LOOP;
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET default_transaction_read_only = on', bi, current_database());

    -- finance: recon.* too, and of a break who looks after it and what is known about it
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'recon') THEN
        EXECUTE format('REVOKE ALL ON SCHEMA recon FROM %I', bi);
        EXECUTE format('GRANT USAGE ON SCHEMA recon TO %I', finance);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA recon TO %I', finance);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA recon GRANT SELECT ON TABLES TO %I', loader, finance);
        FOR item IN
            SELECT attname FROM pg_attribute
            WHERE attrelid = to_regclass('recon.breaks') AND attname IN ('owner', 'reason', 'note') AND NOT attisdropped
        LOOP
            EXECUTE format('GRANT UPDATE (%I) ON recon.breaks TO %I', item.attname, finance);
        END LOOP;
    END IF;
END $$;
