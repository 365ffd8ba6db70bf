// Four-state check of axi_write: no X of an idle input, of an unwritten FIFO word or of a register that was never loaded reaches a
// level, a valid or a valid payload. Client a writes 9 super-words; everything that is not valid is X. Prints PASS and the beats of
// port 0, or what was wrong.
`timescale 1ns / 1ps
module axi_write_x #(
    parameter int DEPTH = 16
);
  localparam int P = 2, PW = 32, WORDS = 9;
  logic clk = 1'b0, rst = 1'b1, stop = 1'b0;
  logic aseg_valid = 1'b0, ad_valid = 1'b0, bseg_valid = 1'b0, bd_valid = 1'b0;
  logic aseg_ready, ad_ready, bseg_ready, bd_ready, idle, err;
  logic [31:0] aseg_off, bseg_off;
  logic [15:0] aseg_beats, bseg_beats;
  logic [P*PW-1:0] ad_data, bd_data, m_wdata;
  logic [P*PW/8-1:0] ad_strb, bd_strb, m_wstrb;
  logic [64*P-1:0] base = {64'h1_0000_0000, 64'h0}, m_awaddr;
  logic [P-1:0] m_awvalid, m_awready = '1, m_wvalid, m_wready = '1, m_wlast, m_bvalid = '0, m_bready;
  logic [8*P-1:0] m_awlen;
  logic [3*P-1:0] m_awsize;
  logic [2*P-1:0] m_awburst, m_bresp;
  logic [4:0] err_port;
  logic [63:0] err_addr;

  always #1 clk = !clk;
  axi_write #(.P(P), .PW(PW), .BURST(4), .OUTSTANDING(4), .DEPTH(DEPTH)) dut (.*);

  for (genvar p = 0; p < P; p++) begin : g_memory
    logic ends;
    assign ends = !rst && m_wvalid[p] && m_wlast[p];
    always_ff @(posedge clk) begin
      m_bvalid[p] <= ends;
      m_bresp[2*p+:2] <= ends ? 2'b00 : 2'bxx;
    end
  end

  int wrong = 0, beats = 0, sent = 0;
  always @(negedge clk) if (!rst) begin
    if (^{aseg_ready, ad_ready, bseg_ready, bd_ready, m_awvalid, m_wvalid, m_bready, idle, err, err_port, err_addr} === 1'bx) wrong++;
    for (int p = 0; p < P; p++) begin
      if (m_awvalid[p] && ^{m_awaddr[64*p+:64], m_awlen[8*p+:8]} === 1'bx) wrong++;
      if (m_wvalid[p] && ^{m_wdata[p*PW+:PW], m_wstrb[p*PW/8+:PW/8], m_wlast[p]} === 1'bx) wrong++;
    end
    if (m_wvalid[0] && m_wdata[PW-1:0] !== 32'(beats)) wrong++;
    beats += 32'(m_wvalid[0]);
  end

  // The stream of data, offered from the segment's cycle on.
  logic go = 1'b0;
  always_comb begin
    ad_valid = go && sent < WORDS;
    ad_data  = ad_valid ? {32'hdead_beef, 32'(sent)} : 'x;
    ad_strb  = ad_valid ? '1 : 'x;
  end
  always @(posedge clk) if (ad_valid && ad_ready) sent <= sent + 1;

  initial begin
    repeat (3) @(posedge clk);
    #0.5 rst = 1'b0;
    @(posedge clk);
    #0.5 aseg_valid = 1'b1; go = 1'b1;
    {aseg_off, aseg_beats} = {32'd3, 16'(WORDS)};
    @(posedge clk);
    #0.5 aseg_valid = 1'b0;
    {aseg_off, aseg_beats} = 'x;
    repeat (80) @(posedge clk);
    if (wrong == 0 && idle === 1'b1 && err === 1'b0) $display("PASS %0d", beats);
    else $display("FAIL: %0d wrong, idle %b, err %b, %0d beats", wrong, idle, err, beats);
    $finish;
  end
endmodule
