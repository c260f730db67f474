"""`holdfast audit`: bookings against money over all schemas, and against the sandbox's own ledger."""
