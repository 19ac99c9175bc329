#!/bin/sh
# Run once by the PostgreSQL image on an empty volume: a role and a database for the warehouse, others for Dagster.
set -eu
# a byte order mark and carriage returns of a file from another system are no part of a password that people can type
secret() { tr -d '\r' < "/run/secrets/$1" | LC_ALL=C sed "1s/^$(printf '\357\273\277')//"; }
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set loader="$(secret warehouse_password)" \
    --set dagster="$(secret dagster_password)" <<'SQL'
-- named as `ecommpay-sync grant` names it, so that it stays the owner
CREATE ROLE ecommpay_loader LOGIN PASSWORD :'loader';
CREATE DATABASE finance OWNER ecommpay_loader;
CREATE ROLE dagster LOGIN PASSWORD :'dagster';
CREATE DATABASE dagster OWNER dagster;
REVOKE ALL ON DATABASE finance, dagster FROM PUBLIC;
SQL
