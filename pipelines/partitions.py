"""The days that operations are partitioned by: UTC, from SYNC_FIRST_DAY to today."""

from __future__ import annotations

import dagster as dg

from resources.settings import sync_settings

SETTINGS = sync_settings()

# one day more than Dagster's default, so that today can be loaded up to the current second
DAYS = dg.DailyPartitionsDefinition(start_date=SETTINGS.first_day.isoformat(), timezone="UTC", end_offset=1)
