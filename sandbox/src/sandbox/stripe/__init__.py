"""Stripe: Checkout Sessions, PaymentIntents, Refunds and Events, by the types of the installed SDK."""
