"""Dagster assets, one file a group; thin over `pipelines.ingest`."""
