// attn_query: takes the q of a pass, G * HK vectors for each of n tokens in any order, and keeps codes and scales for the lanes.
// start with n begins; filled is high in the cycle in which the last beat is taken. The beats of a vector come in order.
// A word of codes holds, for the query heads of one (token, KV head), the LW codes that meet one super-word: q_re, q_raddr, then q.
module attn_query #(
    parameter int G = 1,
    parameter int HK = 1,
    parameter int BATCH = 1,
    parameter int VEC = 1,
    parameter int LW = 16,  // codes a word and query head, a multiple of VEC
    parameter int NW = 1,  // words a vector
    parameter int TW = 1,  // bits of a token
    parameter int QAW = 1,  // bits of a word's index, (token * HK + KV head) * NW + word
    parameter int SAW = 1  // bits of a row's index, token * HK + KV head
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              start,
    input  logic [      TW:0] n,
    output logic              filling,
    output logic              filled,
    input  logic              q_valid,
    output logic              q_ready,
    input  logic [       7:0] q_head,
    input  logic [    TW-1:0] q_token,
    input  logic              q_last,
    input  logic [      23:0] q_scale,
    input  logic [ 8*VEC-1:0] q_data,
    input  logic              q_re,
    input  logic [   QAW-1:0] q_raddr,
    output logic [8*G*LW-1:0] q,
    input  logic              sq_re,
    input  logic [   SAW-1:0] sq_raddr,
    output logic [  24*G-1:0] sq
);
  localparam int LB = LW / VEC;  // beats of a full word
  localparam int ROWS = BATCH * HK;  // (token, KV head)
  localparam int AW = NW < 2 ? 1 : $clog2(NW);
  localparam int BW = LB < 2 ? 1 : $clog2(LB);
  localparam int GW = G < 2 ? 1 : $clog2(G);
  localparam int VW = $clog2(G * HK * BATCH + 1);  // counts vectors

  logic fill_q, q_v, end0;
  logic [VW-1:0] vectors_q;  // still to come
  logic [7:0] head0, kv_head0;
  logic [TW-1:0] token0;
  logic [23:0] scale0;
  logic [8*VEC-1:0] data0;

  skid #(
      .W(8 + TW + 1 + 24 + 8 * VEC)
  ) u_q (
      .clk,
      .rst,
      .in_valid (q_valid),
      .in_ready (q_ready),
      .in_data  ({q_head, q_token, q_last, q_scale, q_data}),
      .out_valid(q_v),
      .out_ready(fill_q),
      .out_data ({head0, token0, end0, scale0, data0})
  );
  assign filling  = fill_q;
  assign filled   = fill_q && q_v && end0 && vectors_q == VW'(1);
  assign kv_head0 = head0 / 8'(G);

  logic [AW-1:0] fill_w_q;
  logic [BW-1:0] fill_b_q;
  logic write_q, write_end_q;
  logic [GW-1:0] write_g_q;
  logic [BW-1:0] write_b_q;
  logic [QAW-1:0] write_addr_q;
  logic [SAW-1:0] write_row_q;
  logic [8*VEC-1:0] write_data_q;
  logic [23:0] write_scale_q;

  always_ff @(posedge clk) begin
    if (rst) fill_q <= 1'b0;
    else fill_q <= start || (fill_q && !filled);
    if (start) vectors_q <= VW'(n) * VW'(G * HK);
    else if (fill_q && q_v && end0) vectors_q <= vectors_q - VW'(1);

    if (rst || start) begin
      fill_w_q <= '0;
      fill_b_q <= '0;
    end else if (fill_q && q_v) begin
      fill_b_q <= end0 || fill_b_q == BW'(LB - 1) ? '0 : fill_b_q + BW'(1);
      if (end0) fill_w_q <= '0;
      else if (fill_b_q == BW'(LB - 1)) fill_w_q <= fill_w_q + AW'(1);
    end

    if (rst) write_q <= 1'b0;
    else write_q <= fill_q && q_v;
    write_end_q   <= end0;
    write_g_q     <= GW'(head0 - kv_head0 * 8'(G));
    write_b_q     <= fill_b_q;
    write_addr_q  <= QAW'((32'(token0) * HK + 32'(kv_head0)) * NW + 32'(fill_w_q));
    write_row_q   <= SAW'(32'(token0) * HK + 32'(kv_head0));
    write_data_q  <= data0;
    write_scale_q <= scale0;
  end

  logic [G*LB-1:0] q_we;
  logic [G-1:0] sq_we;

  for (genvar g = 0; g < G; g++) begin : g_we
    assign sq_we[g] = write_q && write_end_q && write_g_q == GW'(g);
    for (genvar b = 0; b < LB; b++) begin : g_beat
      assign q_we[g*LB+b] = write_q && write_g_q == GW'(g) && write_b_q == BW'(b);
    end
  end

  ram_sdp #(
      .W(8 * G * LW),
      .DEPTH(ROWS * NW < 2 ? 2 : ROWS * NW),
      .SLICES(G * LB)
  ) u_codes (
      .clk,
      .we   (q_we),
      .waddr(write_addr_q),
      .wdata({(G * LB) {write_data_q}}),
      .re   (q_re),
      .raddr(q_raddr),
      .rdata(q)
  );
  ram_sdp #(
      .W(24 * G),
      .DEPTH(ROWS < 2 ? 2 : ROWS),
      .SLICES(G)
  ) u_scales (
      .clk,
      .we   (sq_we),
      .waddr(write_row_q),
      .wdata({G{write_scale_q}}),
      .re   (sq_re),
      .raddr(sq_raddr),
      .rdata(sq)
  );

  logic unused;
  assign unused = ^n;
endmodule
