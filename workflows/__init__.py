"""How it is run and shown: executor, store, command line, report."""
