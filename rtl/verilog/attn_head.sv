// attn_head: the lanes of one query head of attn, with its dot product and its accumulators.
// Stage 1: code, q (K word) or w and sh (V word) of a word come in. Stage LAST = 3 + TREE: dot is the sum over the vector's words so far.
// Stage 3: the accumulators acc = (zero ? 0 : shr(acc, sh)) + w*v; acc3 is the word of them whose turn it is (attn_acc).
module attn_head #(
    parameter int KVB = 8,
    parameter int LW = 16,  // lanes
    parameter int TAIL = 16,  // lanes that hold codes in a vector's last word
    parameter int NW = 1,  // words a vector
    parameter int AW = 1,
    parameter int TREE = 2,
    parameter int ACC = 46  // bits of an accumulator
) (
    input  logic              clk,
    input  logic              k1,      // K word
    input  logic              end1,    // last of its vector
    input  logic [  KVB*LW-1:0] code1,
    input  logic [  8*LW-1:0] q1,
    input  logic [      24:0] w1,
    input  logic [       5:0] sh1,
    input  logic              zero2,   // V word of a head's first position
    input  logic              re2,
    input  logic [    AW-1:0] raddr2,
    input  logic              we3,     // V word
    input  logic [    AW-1:0] waddr3,
    input  logic              skip3,
    input  logic              k_last,  // K word at stage LAST
    input  logic              first_last,  // first of its vector
    output logic [      21:0] dot,
    output logic [ACC*LW-1:0] acc3
);
  // ---- the shift, as the lanes take it: 12*coarse + 3*mid + fine
  logic [17:0] w2_q;
  logic [5:0] sh2_q, sh2, rest2;
  logic [1:0] coarse2, mid2, coarse3_q, mid3_q, fine3_q;

  // 47 and more leave nothing of an accumulator: (x >> 47) + (x >> 46 & 1) = 0 for each of up to 46 bits.
  assign sh2     = sh2_q < 6'd47 ? sh2_q : 6'd47;
  assign coarse2 = sh2 < 6'd12 ? 2'd0 : sh2 < 6'd24 ? 2'd1 : sh2 < 6'd36 ? 2'd2 : 2'd3;
  assign rest2   = sh2 - 6'd12 * 6'(coarse2);
  assign mid2    = rest2 < 6'd3 ? 2'd0 : rest2 < 6'd6 ? 2'd1 : rest2 < 6'd9 ? 2'd2 : 2'd3;

  always_ff @(posedge clk) begin
    w2_q      <= k1 ? '0 : w1[17:0];
    sh2_q     <= sh1;
    coarse3_q <= coarse2;
    mid3_q    <= mid2;
    fine3_q   <= zero2 ? 2'd3 : 2'(rest2 - 6'd3 * 6'(mid2));
  end

  // ---- lanes
  logic [(KVB+8)*LW-1:0] prod3;
  logic [ACC*LW-1:0] next3;

  for (genvar l = 0; l < LW; l++) begin : g_lane
    logic [7:0] q;
    // Beyond the head's dimensions nothing was written to the memory of q.
    if (l < TAIL) begin : g_full
      assign q = q1[8*l+:8];
    end else begin : g_tail
      assign q = end1 ? 8'd0 : q1[8*l+:8];
    end

    attn_lane #(
        .KVB(KVB),
        .ACC(ACC)
    ) u_lane (
        .clk,
        .k1,
        .q1     (q),
        .w1     (w1[24:18]),
        .w2     (w2_q),
        .code1  (code1[KVB*l+:KVB]),
        .prod3  (prod3[(KVB+8)*l+:KVB+8]),
        .coarse3(coarse3_q),
        .mid3   (mid3_q),
        .fine3  (fine3_q),
        .acc3   (acc3[ACC*l+:ACC]),
        .next3  (next3[ACC*l+:ACC])
    );
  end

  attn_acc #(
      .W (ACC * LW),
      .NW(NW),
      .AW(AW)
  ) u_acc (
      .clk,
      .re2,
      .raddr2,
      .we3,
      .waddr3,
      .skip3,
      .next3,
      .acc3
  );

  // ---- dot product
  logic [21:0] word_dot, part_q;

  attn_tree #(
      .N(LW),
      .W(KVB + 8),
      .STAGES(TREE)
  ) u_tree (
      .clk,
      .in (prod3),
      .sum(word_dot)
  );
  assign dot = word_dot + (first_last ? 22'd0 : part_q);
  always_ff @(posedge clk) if (k_last) part_q <= dot;

  logic unused;
  assign unused = end1;
endmodule
