"""Generators and entities of the finance domain."""
