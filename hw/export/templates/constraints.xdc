# {{ device.part }}: the clock. For a board, add pins, such as
#   set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports aclk]
create_clock -name aclk -period {{ '%.3f' | format(1000 / device.clock_mhz) }} [get_ports aclk]
