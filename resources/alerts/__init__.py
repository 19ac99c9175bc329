"""The channels that alerts leave by; their settings are in `resources.settings`. What is told, and when, is in `pipelines.alerts`."""
