"""What sellers print: packing slips and labels, as PDF. Plain functions; the same input gives the same bytes."""
