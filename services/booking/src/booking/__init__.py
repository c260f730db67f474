"""Holds, claims and appointments: never sold twice."""
