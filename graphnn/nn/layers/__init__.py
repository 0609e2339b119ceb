"""Layers: compositions of ops that declare their own parameters. One kind to a module."""
