"""Tenants, users, members, tokens and the keys of persons."""
