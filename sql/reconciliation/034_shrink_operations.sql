DELETE FROM left_operations o USING new_links n WHERE n.operation_id = o.operation_id
