"""The days that operations are partitioned by: UTC, from SYNC_FIRST_DAY to today; the same for every account."""

from __future__ import annotations

import dagster as dg

from resources.settings import sync_settings

# one day more than Dagster's default, so that today can be loaded up to the current second
DAYS = dg.DailyPartitionsDefinition(start_date=sync_settings().first_day.isoformat(), timezone="UTC", end_offset=1)

# a backfill of the UI: single runs over as many days as the longest window has, so that there are few of both;
# all assets share it, since Dagster asks that of the assets of one job
BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=179)
