"""The Data API: signed calls, verified answers. What to ask for, and when, is in `pipelines.ingest`."""
