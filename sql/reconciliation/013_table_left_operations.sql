CREATE TEMPORARY TABLE left_operations (LIKE pool_operations) ON COMMIT DROP
