"""What lists and pages show: reads only, each a statement or a few, never the workflow; by who looks at it."""
