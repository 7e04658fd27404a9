"""Generators and entities of the ecommerce domain."""
