ANALYZE new_links
