"""How to speak to the platform and to PostgreSQL; what runs, and when, is in `pipelines`."""
