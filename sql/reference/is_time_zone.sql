-- Does the server know the zone by this very name? Its list can be older than ours.
SELECT 1 FROM pg_timezone_names WHERE name = :zone
