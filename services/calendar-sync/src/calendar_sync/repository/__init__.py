"""All SQL of the service. Functions work in the transaction's tenant; those named `due_…` and `…_owner` look across
tenants and return ids only."""
