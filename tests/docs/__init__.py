"""The documentation is run: code blocks, the README's output, the examples."""
