"""Generators and entities of the healthcare domain."""
