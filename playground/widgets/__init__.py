"""What is drawn: Textual and the domain only, no I/O."""
