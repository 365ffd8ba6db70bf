// attn: score and value engine of one group of G query heads on a stream of KV blocks (docs/numerics.md section 5).
// cmd starts a pass of n tokens: the q of all H heads and n tokens is taken first, then for each token and KV head its KV blocks:
// header, scales, K words, V words, a super-word a cycle. K: dot products of all G heads leave on score, one a position.
// V: waits for p of the position, then accumulates. After the last V word of a head its accumulators leave on acc (query head of
// the group, dimension) while the next head's header, scales and K words proceed; its V words wait until they have left.
// Stages after the issue of a word: 1 operands, 2 multiplier input, 3 product, accumulators; 3 + TREE dot product of the word.
// This file issues words; attn_query keeps q, attn_head computes, attn_score sends scores, attn_leave accumulators.
module attn #(
    parameter int G = 1,
    parameter int HK = 1,
    parameter int HD = 64,
    parameter int BATCH = 1,
    parameter int VEC = 1,
    parameter int KVB = 8,
    parameter int W = 128,
    parameter int CPW = 16,  // codes a super-word, a multiple of VEC
    parameter int TREE = 2,  // stages of the adder tree
    parameter int TW = 1  // bits of a token
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              cmd_valid,
    output logic              cmd_ready,
    input  logic [      TW:0] cmd_n,
    input  logic              q_valid,
    output logic              q_ready,
    input  logic [       7:0] q_head,
    input  logic [    TW-1:0] q_token,
    input  logic [       6:0] q_index,
    input  logic              q_last,
    input  logic [      23:0] q_scale,
    input  logic [ 8*VEC-1:0] q_data,
    input  logic              kv_valid,
    output logic              kv_ready,
    input  logic [       1:0] kv_kind,
    input  logic [     W-1:0] kv_data,
    input  logic              p_valid,
    output logic              p_ready,
    input  logic [  25*G-1:0] p_w,
    input  logic [   6*G-1:0] p_sh,
    output logic              score_valid,
    input  logic              score_ready,
    output logic [  22*G-1:0] score_dot,
    output logic [  24*G-1:0] score_sq,
    output logic [      23:0] score_sk,
    output logic [      23:0] score_sv,
    output logic              score_first,
    output logic              score_last,
    output logic              acc_valid,
    input  logic              acc_ready,
    output logic [48*VEC-1:0] acc_data,
    output logic              busy         // a K or V word was taken in the cycle before
);
  localparam int LW = CPW < HD ? CPW : HD;  // lanes a head: codes of a full word
  localparam int NW = (HD + CPW - 1) / CPW;  // words a vector
  localparam int TAIL = HD - (NW - 1) * LW;  // lanes that hold codes in a vector's last word
  localparam int SW = (1024 + W - 1) / W;  // words of scales
  localparam int ROWS = BATCH * HK;  // (token, KV head)
  localparam int SAW = ROWS < 2 ? 1 : $clog2(ROWS);
  localparam int QAW = ROWS * NW < 2 ? 1 : $clog2(ROWS * NW);
  localparam int AW = NW < 2 ? 1 : $clog2(NW);
  localparam int SWW = $clog2(SW + 1);
  localparam int LAST = 3 + TREE;  // stage at which a word's dot product is there
  // Bits of an accumulator: 2^CONTEXT_BITS positions of a weight below 2^25 times a code of KVB bits (docs/numerics.md, section 5).
  localparam int ACC = stream_pkg::CONTEXT_BITS + 25 + KVB;
  localparam logic [1:0] HEADER = stream_pkg::KIND_HEADER, SCALES = stream_pkg::KIND_SCALES, K = stream_pkg::KIND_K,
      V = stream_pkg::KIND_V;

  // ---- pass: command, then q, then blocks
  logic cmd_v, cmd_take, filling, filled, run_q, pass_end;
  logic [TW:0] cmd_n0, n_q;

  skid #(
      .W(TW + 1)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid (cmd_valid),
      .in_ready (cmd_ready),
      .in_data  (cmd_n),
      .out_valid(cmd_v),
      .out_ready(cmd_take),
      .out_data (cmd_n0)
  );
  assign cmd_take = cmd_v && !filling && !run_q;

  always_ff @(posedge clk) begin
    if (rst) run_q <= 1'b0;
    else run_q <= filled || (run_q && !pass_end);
    if (cmd_take) n_q <= cmd_n0;
  end

  logic [8*G*LW-1:0] q1;
  logic [24*G-1:0] sq;
  logic [QAW-1:0] q_base_q, q_raddr;  // first word of the current token and KV head
  logic [SAW-1:0] row_q;
  logic take_header, take_scales, take_k;

  attn_query #(
      .G(G),
      .HK(HK),
      .BATCH(BATCH),
      .VEC(VEC),
      .LW(LW),
      .NW(NW),
      .TW(TW),
      .QAW(QAW),
      .SAW(SAW)
  ) u_query (
      .clk,
      .rst,
      .start(cmd_take),
      .n(cmd_n0),
      .filling,
      .filled,
      .q_valid,
      .q_ready,
      .q_head,
      .q_token,
      .q_last,
      .q_scale,
      .q_data,
      .q_re(take_k),
      .q_raddr,
      .q(q1),
      .sq_re(take_scales),  // one cycle after the header at least, so after the last write
      .sq_raddr(row_q),
      .sq
  );

  // ---- issue: what becomes of the word at the head of kv
  logic kv_v, take_v, take;
  logic [1:0] kind0;
  logic [W-1:0] word0;
  logic p_v;
  logic [31*G-1:0] p0;
  logic first_q, last_q;  // block is the first, last of its head
  logic [3:0] top_q, pos_q;  // last position of the block, current one
  logic [AW-1:0] w_q;  // word of the vector
  logic [SWW-1:0] scale_q;  // scale word
  logic [7:0] head_q;
  logic [TW:0] token_q;
  logic [4:0] scores_q;  // scores between the issue of their last K word and the taken score
  logic leaving_q;  // accumulators of a finished head are in use
  logic w_end, pos_end, head_end;

  skid #(
      .W(W + 2)
  ) u_kv (
      .clk,
      .rst,
      .in_valid (kv_valid),
      .in_ready (kv_ready),
      .in_data  ({kv_kind, kv_data}),
      .out_valid(kv_v),
      .out_ready(take),
      .out_data ({kind0, word0})
  );
  skid #(
      .W(31 * G)
  ) u_p (
      .clk,
      .rst,
      .in_valid (p_valid),
      .in_ready (p_ready),
      .in_data  ({p_sh, p_w}),
      .out_valid(p_v),
      .out_ready(take_v && w_end),
      .out_data (p0)
  );

  // A header waits until all scores of the block before have been taken: so 16 places of the score fifo are always enough, and the
  // scales stand as long as a score needs them. (p of a position follows its score: in the accelerator it never waits.)
  assign take_header = run_q && kv_v && kind0 == HEADER && scores_q == 5'd0;
  assign take_scales = run_q && kv_v && kind0 == SCALES;
  assign take_k      = run_q && kv_v && kind0 == K;
  assign take_v      = run_q && kv_v && kind0 == V && p_v && !leaving_q;
  assign take        = take_header || take_scales || take_k || take_v;
  assign q_raddr     = q_base_q + QAW'(w_q);
  assign w_end       = w_q == AW'(NW - 1);
  assign pos_end     = w_end && pos_q == top_q;
  assign head_end    = take_v && pos_end && last_q;
  assign pass_end    = head_end && head_q == 8'(HK - 1) && token_q + (TW + 1)'(1) == n_q;

  always_ff @(posedge clk) begin
    if (take_header) begin
      top_q   <= word0[3:0] - 4'd1;
      first_q <= word0[stream_pkg::HEADER_FIRST_BIT];
      last_q  <= word0[stream_pkg::HEADER_LAST_BIT];
      scale_q <= '0;
      pos_q   <= '0;
      w_q     <= '0;
    end
    if (take_scales) scale_q <= scale_q + SWW'(1);
    if (take_k || take_v) begin
      w_q <= w_end ? '0 : w_q + AW'(1);
      if (w_end) pos_q <= pos_end ? '0 : pos_q + 4'd1;
    end
    if (cmd_take) begin
      head_q   <= '0;
      token_q  <= '0;
      q_base_q <= '0;
      row_q    <= '0;
    end else if (head_end) begin
      head_q   <= head_q == 8'(HK - 1) ? '0 : head_q + 8'd1;
      if (head_q == 8'(HK - 1)) token_q <= token_q + (TW + 1)'(1);
      q_base_q <= q_base_q + QAW'(NW);
      row_q    <= row_q + SAW'(1);
    end
    if (rst) scores_q <= '0;
    else scores_q <= scores_q + 5'(take_k && w_end) - 5'(score_valid && score_ready);
  end

  logic busy_q;
  always_ff @(posedge clk) busy_q <= !rst && (take_k || take_v);
  assign busy = busy_q;

  // ---- stages: what goes along with a word
  logic [LW*KVB-1:0] codes1_q;
  logic [31*G-1:0] p1_q;
  logic [LAST:1] k_q, k_first_q, k_end_q;  // K word; first, last of its vector
  logic [4*LAST+3:4] k_pos_q;
  logic [3:1] v_q, v_end_q;  // V word; the last one of a head
  logic [2:1] v_zero_q;  // of the first position
  logic [3*AW+AW-1:AW] v_w_q;

  always_ff @(posedge clk) begin
    if (rst) begin
      k_q <= '0;
      v_q <= '0;
    end else begin
      k_q <= {k_q[LAST-1:1], take_k};
      v_q <= {v_q[2:1], take_v};
    end
    k_first_q <= {k_first_q[LAST-1:1], w_q == '0};
    k_end_q   <= {k_end_q[LAST-1:1], w_end};
    k_pos_q   <= {k_pos_q[4*LAST-1:4], pos_q};
    v_zero_q  <= {v_zero_q[1], first_q && pos_q == '0};
    v_end_q   <= {v_end_q[2:1], head_end};
    v_w_q     <= {v_w_q[3*AW-1:AW], w_q};
    codes1_q  <= word0[LW*KVB-1:0];
    p1_q      <= p0;
  end

  // ---- lanes, accumulators and the dot product of each head
  logic [ACC*G*LW-1:0] acc3;
  logic [22*G-1:0] dot;
  logic read, left;  // of the accumulators that leave
  logic [AW-1:0] read_w;
  logic [G-1:0] skip;

  for (genvar g = 0; g < G; g++) begin : g_head
    attn_head #(
        .KVB (KVB),
        .LW  (LW),
        .TAIL(TAIL),
        .NW  (NW),
        .AW  (AW),
        .TREE(TREE),
        .ACC (ACC)
    ) u_head (
        .clk,
        .k1(k_q[1]),
        .end1(k_end_q[1]),
        .code1(codes1_q),
        .q1(q1[8*LW*g+:8*LW]),
        .w1(p1_q[25*g+:25]),
        .sh1(p1_q[25*G+6*g+:6]),
        .zero2(v_zero_q[2]),
        .re2(v_q[2] || read),
        .raddr2(read ? read_w : v_w_q[2*AW+:AW]),
        .we3(v_q[3]),
        .waddr3(v_w_q[3*AW+:AW]),
        .skip3(skip[g]),
        .k_last(k_q[LAST]),
        .first_last(k_first_q[LAST]),
        .dot(dot[22*g+:22]),
        .acc3(acc3[ACC*LW*g+:ACC*LW])
    );
  end

  always_ff @(posedge clk) begin
    if (rst) leaving_q <= 1'b0;
    else leaving_q <= head_end || (leaving_q && !left);
  end

  attn_leave #(
      .G(G),
      .VEC(VEC),
      .NW(NW),
      .LW(LW),
      .TAIL(TAIL),
      .AW(AW),
      .ACC(ACC)
  ) u_leave (
      .clk,
      .rst,
      .start(v_q[3] && v_end_q[3]),
      .done(left),
      .read,
      .word(read_w),
      .skip,
      .acc(acc3),
      .acc_valid,
      .acc_ready,
      .acc_data
  );

  attn_score #(
      .G(G),
      .W(W)
  ) u_score (
      .clk,
      .rst,
      .scale_we(take_scales),
      .scale_word(5'(scale_q)),
      .scale_data(word0),
      .in_valid(k_q[LAST] && k_end_q[LAST]),
      .in_pos(k_pos_q[4*LAST+:4]),
      .in_dot(dot),
      .in_sq(sq),
      .in_first(first_q && k_pos_q[4*LAST+:4] == '0),
      .in_last(last_q && k_pos_q[4*LAST+:4] == top_q),
      .score_valid,
      .score_ready,
      .score_dot,
      .score_sq,
      .score_sk,
      .score_sv,
      .score_first,
      .score_last
  );

  logic unused;
  assign unused = ^{q_index, word0, v_w_q};
endmodule
