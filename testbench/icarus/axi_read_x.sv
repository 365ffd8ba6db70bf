// Four-state check of axi_read: no X of an idle input, of an unwritten FIFO word or of a register that was never loaded reaches a
// level, a valid or a valid payload. The memory answers one burst a port at a time, a beat's data being the low half of its address;
// everything that is not valid is X. Prints PASS and the super-words that came, or what was wrong.
`timescale 1ns / 1ps
module axi_read_x #(
    parameter int DEPTH = 8
);
  localparam int P = 2, PW = 32;
  logic clk = 1'b0, rst = 1'b1, stop = 1'b0;
  logic wseg_valid = 1'b0, dseg_valid = 1'b0, kseg_valid = 1'b0, w_ready = 1'b1, a_ready = 1'b1;
  logic wseg_ready, dseg_ready, kseg_ready, w_valid, a_valid, idle, err;
  logic [31:0] wseg_off, wseg_beats, dseg_off, dseg_beats, kseg_off, kseg_beats;
  logic [1:0] wseg_dest, dseg_dest, kseg_dest, w_dest, a_dest;
  logic [64*P-1:0] base = {64'h1_0000_0000, 64'h0}, m_araddr;
  logic [P-1:0] m_arvalid, m_arready, m_rvalid = '0, m_rready, m_rlast, beats_inc;
  logic [8*P-1:0] m_arlen;
  logic [3*P-1:0] m_arsize;
  logic [2*P-1:0] m_arburst, m_rresp;
  logic [P*PW-1:0] m_rdata, w_data, a_data;
  logic [4:0] err_port;
  logic [63:0] err_addr;

  always #1 clk = !clk;
  axi_read #(.P(P), .PW(PW), .BURST(4), .OUTSTANDING(2), .W_DEPTH(DEPTH), .X_DEPTH(DEPTH)) dut (.*);

  for (genvar p = 0; p < P; p++) begin : g_memory
    logic [8:0] left = '0;
    logic [PW-1:0] addr;
    assign m_arready[p] = left == '0;
    always_ff @(posedge clk) begin
      m_rvalid[p] <= left != '0;
      m_rdata[p*PW+:PW] <= left != '0 ? addr : 'x;
      m_rresp[2*p+:2] <= left != '0 ? 2'b00 : 2'bxx;
      m_rlast[p] <= left != '0 ? left == 9'd1 : 1'bx;
      if (left != '0) begin
        left <= left - 9'd1;
        addr <= addr + 32'd4;
      end else if (!rst && m_arvalid[p]) begin
        left <= 9'(m_arlen[8*p+:8]) + 9'd1;
        addr <= m_araddr[64*p+:32];
      end
    end
  end

  int wrong = 0, words_w = 0, words_a = 0;
  always @(negedge clk) if (!rst) begin
    if (^{wseg_ready, dseg_ready, kseg_ready, m_arvalid, m_rready, w_valid, a_valid, idle, err, err_port, err_addr, beats_inc} === 1'bx) wrong++;
    for (int p = 0; p < P; p++) if (m_arvalid[p] && ^{m_araddr[64*p+:64], m_arlen[8*p+:8]} === 1'bx) wrong++;
    if (w_valid && {w_dest, w_data} !== {2'd1, {2{32'(4 * (3 + words_w))}}}) wrong++;
    if (a_valid && {a_dest, a_data} !== {2'd2, {2{32'(4 * (100 + words_a))}}}) wrong++;
    words_w += 32'(w_valid);
    words_a += 32'(a_valid);
  end

  initial begin
    repeat (3) @(posedge clk);
    #0.5 rst = 1'b0;
    @(posedge clk);
    #0.5 wseg_valid = 1'b1; kseg_valid = 1'b1;
    {wseg_off, wseg_beats, wseg_dest} = {32'd3, 32'd21, 2'd1};
    {kseg_off, kseg_beats, kseg_dest} = {32'd100, 32'd9, 2'd2};
    @(posedge clk);
    #0.5 wseg_valid = 1'b0; kseg_valid = 1'b0;
    {wseg_off, wseg_beats, wseg_dest, kseg_off, kseg_beats, kseg_dest} = 'x;
    repeat (150) @(posedge clk);
    if (wrong == 0 && idle === 1'b1 && err === 1'b0) $display("PASS %0d %0d", words_w, words_a);
    else $display("FAIL: %0d wrong, idle %b, err %b, %0d %0d words", wrong, idle, err, words_w, words_a);
    $finish;
  end
endmodule
