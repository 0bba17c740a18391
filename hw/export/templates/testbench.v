// Self-checking bench of {{ top }}: windows in, results out, both sides pausing at random.
//   iverilog -g2005 -o testbench testbench.v {{ top }}.v{{ ' ' + cells if cells }} && vvp testbench
// prints PASS or FAIL; +fast leaves the pauses out.
`timescale 1ns / 1ps

module testbench;
  localparam WIDTH = {{ width }};
  localparam INPUTS = {{ inputs }};    // beats of input.hex: TLAST, then TDATA
  localparam OUTPUTS = {{ outputs }};  // beats of result.hex
  localparam [63:0] LIMIT = 64'd{{ limit }};  // cycles after which nothing is expected any more

  reg aclk = 0, aresetn = 0;
  reg [WIDTH:0] sent [0:INPUTS-1], wanted [0:OUTPUTS-1];
  integer in = 0, out = 0, errors = 0, seed = 1;
  reg [63:0] cycles = 0;
  reg fast;

  reg s_valid = 0, m_ready = 0;
  reg [WIDTH:0] beat = 0;
{% if bus == 'wishbone' %}
  wire s_ready;
  reg m_valid = 0;
  reg [WIDTH:0] result = 0;

  // A master of the bus: the commands, then words as there is room, and as results wait.
  localparam WRITES = {{ writes }};
  reg [{{ address_width + 32 - 1 }}:0] commands [0:WRITES-1];
  integer command = 0;
  reg stb = 0, we = 0, waiting = 0, last = 0;
  reg [{{ address_width - 3 }}:0] adr = 0;
  reg [{{ address_width - 1 }}:0] address;
  reg [31:0] dat = 0;
  reg [14:0] room = 0;
  wire ack, err;
  wire [31:0] got;
  localparam SEND = {{ words.send }}, SEND_LAST = {{ words.send_last }}, RECEIVE = {{ words.receive }}, QUEUES = {{ words.queues }};
  assign s_ready = stb && ack && (adr == SEND || adr == SEND_LAST);
  initial $readmemh("writes.hex", commands);
  always @(posedge aclk) begin
    if (m_valid && m_ready) m_valid <= 0;
    if (stb && (ack || err)) begin
      stb <= 0;
      if (s_ready) room <= room - 1;
      if (adr == RECEIVE) begin
        m_valid <= 1;
        result <= {last, got};
        waiting <= 0;
      end
      if (adr == QUEUES) begin
        room <= got[14:0];
        waiting <= got[30:16] != 0;
        last <= got[31];
      end
    end else if (aresetn && !stb) begin
      stb <= 1;
      we <= 0;
      if (command < WRITES) begin
        {address, dat} = commands[command];
        adr <= address[{{ address_width - 1 }}:2];
        we <= 1;
        command = command + 1;
      end else if (waiting && !m_valid) adr <= RECEIVE;
      else if (s_valid && room != 0) begin
        adr <= beat[WIDTH] ? SEND_LAST : SEND;
        dat <= beat[WIDTH-1:0];
        we <= 1;
      end else adr <= QUEUES;
    end
  end
{% else %}
  wire s_ready, m_valid, m_last;
  wire [WIDTH-1:0] m_data;
  wire [WIDTH:0] result = {m_last, m_data};
{% endif %}

{% if registers and bus == 'axi' %}
  // The registers let input in when they are told to.
  localparam WRITES = {{ writes }};
  reg [{{ address_width + 32 - 1 }}:0] commands [0:WRITES-1];
  integer command = 0;
  reg awvalid = 0;
  reg [{{ address_width - 1 }}:0] awaddr = 0;
  reg [31:0] wdata = 0;
  wire awready;
  initial $readmemh("writes.hex", commands);
  always @(posedge aclk)
    if (aresetn) begin
      if (awvalid && awready) awvalid <= 0;
      else if (!awvalid && command < WRITES) begin
        awvalid <= 1;
        {awaddr, wdata} <= commands[command];
        command = command + 1;
      end
    end
{% endif %}

{% if stream_load %}
  // Weights come first, a byte a cycle.
  localparam BYTES = {{ load_bytes }};
  reg [7:0] contents [0:BYTES-1];
  integer loaded = 0;
  reg load_valid = 0;
  reg [8:0] load_byte = 0;
  wire load_ready;
  wire filled = loaded == BYTES && !load_valid;
  initial $readmemh("load.hex", contents);
  always @(posedge aclk)
    if (!load_valid || load_ready) begin
      load_valid <= aresetn && loaded < BYTES;
      if (aresetn && loaded < BYTES) begin
        load_byte <= {loaded == BYTES - 1, contents[loaded]};
        loaded = loaded + 1;
      end
    end
{% else %}
  wire filled = 1;
{% endif %}

  {{ top }} dut (
{% if stream_load %}
    .s_load_tdata(load_byte[7:0]), .s_load_tlast(load_byte[8]),
    .s_load_tvalid(load_valid), .s_load_tready(load_ready),
{% endif %}
{% if bus == 'wishbone' %}
    .clk_i(aclk), .rst_i(~aresetn), .adr_i(adr), .dat_i(dat), .sel_i(4'hf), .cyc_i(stb), .stb_i(stb),
    .we_i(we), .dat_o(got), .ack_o(ack), .err_o(err)
{% else %}
    .aclk(aclk),
    .aresetn(aresetn),
    .s_axis_tdata(beat[WIDTH-1:0]),
    .s_axis_tlast(beat[WIDTH]),
    .s_axis_tvalid(s_valid),
    .s_axis_tready(s_ready),
{% if registers %}
    .s_axi_awaddr(awaddr), .s_axi_awprot(3'b0), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
    .s_axi_wdata(wdata), .s_axi_wstrb(4'hf), .s_axi_wvalid(awvalid), .s_axi_wready(),
    .s_axi_bresp(), .s_axi_bvalid(), .s_axi_bready(1'b1),
    .s_axi_araddr({{ '{' }}{{ address_width }}{1'b0}}), .s_axi_arprot(3'b0), .s_axi_arvalid(1'b0),
    .s_axi_arready(), .s_axi_rdata(), .s_axi_rresp(), .s_axi_rvalid(), .s_axi_rready(1'b1),
{% endif %}
    .m_axis_tdata(m_data),
    .m_axis_tlast(m_last),
    .m_axis_tvalid(m_valid),
    .m_axis_tready(m_ready)
{% endif %}
  );

  always #5 aclk = ~aclk;

  initial begin
    fast = $test$plusargs("fast");
    $readmemh("input.hex", sent);
    $readmemh("result.hex", wanted);
    repeat (4) @(posedge aclk);
    @(negedge aclk) aresetn = 1;
  end

  always @(posedge aclk) begin
    cycles = cycles + 1;
{% if bus == 'wishbone' %}
    if (stb && err) begin
      errors = errors + 1;
      $display("the bus refused word %0d", adr);
    end
{% endif %}
    // An offer stays until it is taken; without one the data are unknown.
    if (!s_valid || s_ready) begin
      if (aresetn && filled && in < INPUTS && (fast || $random(seed) % 4 != 0)) begin
        s_valid <= 1;
        beat <= sent[in];
        in = in + 1;
      end else begin
        s_valid <= 0;
        beat <= {WIDTH + 1{1'bx}};
      end
    end
    m_ready <= fast || $random(seed) % 4 == 0;
    if (aresetn && m_valid && m_ready) begin
      if (out >= OUTPUTS || result !== wanted[out < OUTPUTS ? out : 0]) begin
        errors = errors + 1;
        if (errors <= 10 && out < OUTPUTS)
          $display("result beat %0d: expected %h, got %h", out, wanted[out], result);
      end
      out = out + 1;
    end
    if (out == OUTPUTS || cycles == LIMIT) begin
      if (errors == 0 && out == OUTPUTS)
        $display("PASS: %0d result beats, %0d cycles", out, cycles);
      else
        $display("FAIL: %0d errors, %0d of %0d result beats, %0d cycles", errors, out, OUTPUTS, cycles);
      $finish;
    end
  end
endmodule
