"""A board behind a virtual serial port."""
