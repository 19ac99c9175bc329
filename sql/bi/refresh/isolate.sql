-- Every statement of the refresh sees the core of one moment. Before any query, so that the lock is waited for first.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
