"""Checkouts, webhooks, refunds and the ledger."""
