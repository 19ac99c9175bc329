"""What is worth waking somebody for, and telling it once; knows no Dagster. Channels are in `resources.channels`."""
