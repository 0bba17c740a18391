# {{ device.part }}: the clock. For a board, add pins, such as
#   set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports {{ clock }}]
create_clock -name {{ clock }} -period {{ '%.3f' | format(1000 / device.clock_mhz) }} [get_ports {{ clock }}]
