"""The engine: plan windows, walk pages, normalize, load. It knows no Dagster."""
