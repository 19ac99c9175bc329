"""What runs, when, and how it is checked; how to speak to the API and to PostgreSQL is in `resources`."""
