"""Tests of graphnn/ops."""
