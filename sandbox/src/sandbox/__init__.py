"""Stand-ins for Stripe, Google, SendGrid and Twilio."""
