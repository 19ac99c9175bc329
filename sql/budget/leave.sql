UPDATE sync.requests_in_flight SET is_active = false WHERE account = :account AND process = :process
