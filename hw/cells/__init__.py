"""The cell: sums of the gates, and the state stage of each cell and datapath."""
