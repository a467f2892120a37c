"""What an order costs: events, statements and commits counted, rates and CPU beside an empty workflow."""
