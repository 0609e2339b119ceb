"""Data before it is trained on: files, splits, augmentation."""
