"""All SQL of identity, by noun. Every function takes the transaction of its caller."""
