"""Where declared objects are kept: SQLite on this machine, or another hub over HTTP."""
