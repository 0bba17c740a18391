"""What everything stands on: the exception that users see, fixed point, files, processes."""
