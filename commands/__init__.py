"""The command line: one file per topic, each with its arguments and what its commands do."""
