"""The subjects of a course on neural nets with the figures that it prints: docs/course.md names the test of each."""
