"""Tests of graphnn; the folders mirror those of the package."""
