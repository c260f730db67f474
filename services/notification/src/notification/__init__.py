"""Messages to patients, clinics and practitioners."""
