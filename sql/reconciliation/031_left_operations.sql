INSERT INTO left_operations
SELECT * FROM pool_operations o WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.operation_id = o.operation_id)
