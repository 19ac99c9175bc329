SELECT value FROM core.settings WHERE key = 'reporting_zone'
