"""The command line: arguments in, an app or a headless run out."""
