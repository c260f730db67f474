"""The sandbox against the providers' own SDKs and specifications."""
