"""The command line: parse, call, render. Nothing is imported before the command that needs it."""
