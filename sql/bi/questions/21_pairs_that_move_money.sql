-- Which types and statuses move money, and in which direction?
-- 1: to the merchant; -1: from the merchant.
SELECT operation_type, operation_status, sign
FROM bi.dim_operation_status
WHERE sign <> 0
ORDER BY sign DESC, operation_type, operation_status
