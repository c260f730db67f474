"""All SQL of booking, by noun. Lock order everywhere: slots by id → bookings → resources' advisory locks → claims."""
