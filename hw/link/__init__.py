"""Core behind a UART or a SPI slave, by packets that survive lost and wrong bytes."""
