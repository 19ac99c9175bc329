DELETE FROM bi.daily_overview d USING stale_days s WHERE d.account = s.account AND d.business_date = s.business_date
