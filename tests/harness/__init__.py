"""What the demo, the end-to-end tests and the benches share. Standard library only: the demo runs without any package."""
