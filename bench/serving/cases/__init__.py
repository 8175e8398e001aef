"""The rows of issue 4's table, one file each: a function from a Contest to Findings."""
