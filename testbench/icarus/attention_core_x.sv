// attention_core_x: attn, softmax and attn_out wired together in four-state simulation (Icarus). Inputs are x whenever their valid is
// low. No ready, valid or level, and no payload of a valid word, may ever be x: nothing depends on an unwritten register or word.
// 6-bit codes, CPW 20, three words a vector with a short last one; passes of one and two tokens, partial blocks, a soft reset.
// Prints "PASS <outputs>" or the first x and "FAIL".
`timescale 1ns / 1ps
module attention_core_x;
  parameter int NW = 3;  // words a vector: 3, or 1 with W = 384
  localparam int W = NW == 1 ? 384 : 128;
  localparam int CPW = NW == 1 ? 64 : 20;
  localparam int SW = NW == 1 ? 3 : 8;
  localparam int HD = 48, KVB = 6, G = 3, VEC = 4, TREE = 3;

  logic clk = 0, rst = 1;
  always #5 clk = !clk;

  logic cmd_valid = 0, cmd_ready;
  logic [1:0] cmd_n;
  logic q_valid = 0, q_ready, q_last;
  logic [7:0] q_head;
  logic [0:0] q_token;
  logic [6:0] q_index;
  logic [23:0] q_scale;
  logic [8*VEC-1:0] q_data;
  logic kv_valid = 0, kv_ready;
  logic [1:0] kv_kind;
  logic [W-1:0] kv_data;
  logic score_valid, score_ready, score_first, score_last;
  logic [22*G-1:0] score_dot;
  logic [24*G-1:0] score_sq;
  logic [23:0] score_sk, score_sv;
  logic p_valid, p_ready;
  logic [25*G-1:0] p_w;
  logic [6*G-1:0] p_sh;
  logic sum_valid, sum_ready;
  logic [40*G-1:0] sum_s;
  logic [7:0] sum_e;
  logic acc_valid, acc_ready;
  logic [48*VEC-1:0] acc_data;
  logic o_valid;
  logic [32*VEC-1:0] o_data;
  logic busy, sat, out_sat;
  logic [1:0] sat_inc;
  logic [2:0] out_sat_inc;

  attn #(.G(G), .HK(1), .HD(HD), .BATCH(2), .VEC(VEC), .KVB(KVB), .W(W), .CPW(CPW), .TREE(TREE), .TW(1)) u_attn (.*);
  softmax #(.G(G), .ROM_LOG2(8), .ROM_BITS(15), .ROM_FILE("exp2_256x15.hex")) u_softmax (.*);
  attn_out #(.G(G), .HD(HD), .VEC(VEC)) u_attn_out (.sat(out_sat), .sat_inc(out_sat_inc), .o_ready(1'b1), .*);

  integer found = 0, outputs = 0;
  always @(negedge clk) if (!rst) begin
    if (^{cmd_ready, q_ready, kv_ready, score_valid, score_ready, p_valid, p_ready, sum_valid, sum_ready, acc_valid, acc_ready,
          o_valid, busy, sat, sat_inc, out_sat, out_sat_inc} === 1'bx) found = found + 1;
    if (score_valid && ^{score_dot, score_sq, score_sk, score_sv, score_first, score_last} === 1'bx) found = found + 1;
    if (p_valid && ^{p_w, p_sh} === 1'bx) found = found + 1;
    if (sum_valid && ^{sum_s, sum_e} === 1'bx) found = found + 1;
    if (acc_valid && ^acc_data === 1'bx) found = found + 1;
    if (o_valid && ^o_data === 1'bx) found = found + 1;
    if (o_valid) outputs = outputs + VEC;
    if (found != 0) begin
      $display("FAIL: x at %0t", $time);
      $finish;
    end
  end

  task kv(input [1:0] kind, input [W-1:0] data);
    begin
      kv_valid = 1;
      kv_kind = kind;
      kv_data = data;
      @(posedge clk);
      while (!kv_ready) @(posedge clk);
      #1 kv_valid = 0;
      kv_kind = 'x;
      kv_data = 'x;
    end
  endtask

  function [W-1:0] codes(input integer word);
    integer i;
    begin
      codes = '0;
      for (i = 0; i < CPW; i = i + 1) if (word * CPW + i < HD) codes[KVB*i+:KVB] = $random;
    end
  endfunction

  integer h, qt, j, t, b, i, w, n;
  task pass(input integer tokens, input integer blocks);
    fork
      begin
        cmd_valid = 1;
        cmd_n = tokens;
        @(posedge clk);
        #1 cmd_valid = 0;
        cmd_n = 'x;
      end
      for (h = 0; h < G; h = h + 1) for (qt = 0; qt < tokens; qt = qt + 1) for (j = 0; j < HD / VEC; j = j + 1) begin
        q_valid = 1;
        q_head = h;
        q_token = qt;
        q_index = j;
        q_last = j == HD / VEC - 1;
        q_scale = 24'hE69000;
        q_data = $random;
        @(posedge clk);
        while (!q_ready) @(posedge clk);
        #1 q_valid = 0;
        q_head = 'x;
        q_token = 'x;
        q_index = 'x;
        q_last = 1'bx;
        q_scale = 'x;
        q_data = 'x;
      end
      for (t = 0; t < tokens; t = t + 1) for (b = 0; b < blocks; b = b + 1) begin
        n = b == blocks - 1 ? t + 1 : 16;
        kv(2'd0, n | (b == 0) << 5 | (b == blocks - 1) << 6);
        for (i = 0; i < SW; i = i + 1) kv(2'd1, {(W / 32) {32'h00EDA123}});
        for (i = 0; i < n; i = i + 1) for (w = 0; w < NW; w = w + 1) kv(2'd2, codes(w));
        for (i = 0; i < n; i = i + 1) for (w = 0; w < NW; w = w + 1) kv(2'd3, codes(w));
      end
    join
  endtask

  initial begin
    repeat (3) @(posedge clk);
    #1 rst = 0;
    pass(1, 1);
    pass(2, 3);
    pass(1, 2);
    repeat (300) @(posedge clk);
    #1 rst = 1;
    @(posedge clk);
    #1 rst = 0;
    pass(2, 2);
    repeat (300) @(posedge clk);
    $display("PASS %0d", outputs);
    $finish;
  end
endmodule
