"""What compiles a simulation, starts it and reads what came out."""
