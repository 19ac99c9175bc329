-- The id that an HTTP request carries in the log, so that it can be followed to the page it brought.

ALTER TABLE raw.pages ADD COLUMN request_id text;
COMMENT ON COLUMN raw.pages.request_id IS 'Id of the HTTP request, as in the log; NULL for pages stored before ids were kept.';
