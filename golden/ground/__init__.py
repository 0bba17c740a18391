"""What everything stands on: the exception that users see, and fixed point."""
