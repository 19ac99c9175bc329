"""The channels that alerts leave by, and their settings; what is told, and when, is in `pipelines.alerts`."""
