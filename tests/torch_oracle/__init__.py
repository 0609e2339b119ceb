"""A second oracle, for those who have torch: `python -m pytest tests/torch_oracle`."""
