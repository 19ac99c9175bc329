-- What the passes found, and how much of the day found its other side (matches made by other days included).
SELECT (SELECT count(*) FROM pool_operations WHERE is_home) AS operations,
       (SELECT count(*) FROM pool_operations WHERE is_home AND is_required) AS operations_required,
       (SELECT count(*) FROM pool_entries WHERE is_home) AS entries,
       (SELECT count(*) FROM left_operations WHERE is_home AND is_required) AS operations_alone,
       (SELECT count(*) FROM left_entries WHERE is_home) AS entries_alone,
       (SELECT coalesce(jsonb_object_agg(pass, matches), '{}')
        FROM (SELECT pass, count(DISTINCT match_id) AS matches FROM new_links GROUP BY pass) AS passes) AS matches,
       (SELECT coalesce(jsonb_object_agg(break_type, breaks), '{}')
        FROM (SELECT break_type, count(*) AS breaks FROM found_breaks GROUP BY break_type) AS types) AS breaks
