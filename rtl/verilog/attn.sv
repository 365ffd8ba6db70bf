// attn: score and value engine of one group of G query heads on a stream of KV blocks (docs/numerics.md section 5).
// cmd starts a pass of n tokens: the q of all H heads and n tokens is taken first, then for each token and KV head its KV blocks:
// header, scales, K words, V words, a super-word a cycle. K: dot products of all G heads leave on score, one a position.
// V: waits for p of the position, then accumulates. After the last V word of a head its accumulators leave on acc (query head of
// the group, dimension) while the next head's header, scales and K words proceed; its V words wait until they have left.
// Stages after the issue of a word: 1 operands, 2 multiplier input, 3 product, accumulators; 3 + TREE dot product of the word.
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
  localparam int LB = LW / VEC;  // beats of VEC in a full word
  localparam int TB = TAIL / VEC;  // and in the last one
  localparam int SW = (1024 + W - 1) / W;  // words of scales
  localparam int ROWS = BATCH * HK;  // (token, KV head)
  localparam int SDEPTH = ROWS < 2 ? 2 : ROWS;
  localparam int QDEPTH = ROWS * NW < 2 ? 2 : ROWS * NW;
  localparam int SAW = $clog2(SDEPTH);
  localparam int QAW = $clog2(QDEPTH);
  localparam int AW = NW < 2 ? 1 : $clog2(NW);
  localparam int BW = LB < 2 ? 1 : $clog2(LB);
  localparam int SWW = $clog2(SW + 1);
  localparam int GW = G < 2 ? 1 : $clog2(G);
  localparam int VW = $clog2(G * HK * BATCH + 1);  // counts the vectors of q
  localparam int LAST = 3 + TREE;  // stage at which a word's dot product is there
  localparam logic [1:0] HEADER = stream_pkg::KIND_HEADER, SCALES = stream_pkg::KIND_SCALES, K = stream_pkg::KIND_K,
      V = stream_pkg::KIND_V;

  // ---- pass: command, then q, then blocks
  logic cmd_v, cmd_take, fill_q, run_q, pass_end;
  logic [TW:0] cmd_n0, n_q;
  logic [VW-1:0] vectors_q;  // vectors of q still to come

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
  assign cmd_take = cmd_v && !fill_q && !run_q;

  logic q_v, q_end0, q_filled;
  logic [7:0] q_head0;
  logic [TW-1:0] q_token0;
  logic [23:0] q_scale0;
  logic [8*VEC-1:0] q_data0;

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
      .out_data ({q_head0, q_token0, q_end0, q_scale0, q_data0})
  );
  assign q_filled = fill_q && q_v && q_end0 && vectors_q == VW'(1);

  always_ff @(posedge clk) begin
    if (rst) begin
      fill_q <= 1'b0;
      run_q  <= 1'b0;
    end else begin
      fill_q <= cmd_take || (fill_q && !q_filled);
      run_q  <= q_filled || (run_q && !pass_end);
    end
    if (cmd_take) begin
      n_q       <= cmd_n0;
      vectors_q <= VW'(cmd_n0) * VW'(G * HK);
    end else if (fill_q && q_v && q_end0) vectors_q <= vectors_q - VW'(1);
  end

  // ---- q: word (token, KV head, w) holds the LW codes of all G heads; beats of a vector come in order
  logic [AW-1:0] fill_w_q;
  logic [BW-1:0] fill_b_q;
  logic write_q, write_end_q;
  logic [GW-1:0] write_g_q;
  logic [BW-1:0] write_b_q;
  logic [QAW-1:0] write_addr_q;
  logic [SAW-1:0] write_row_q;
  logic [8*VEC-1:0] write_data_q;
  logic [23:0] write_scale_q;
  logic [G*LB-1:0] q_we;
  logic [G-1:0] sq_we;
  logic [7:0] kv_head0;

  assign kv_head0 = q_head0 / 8'(G);

  always_ff @(posedge clk) begin
    if (rst || cmd_take) begin
      fill_w_q <= '0;
      fill_b_q <= '0;
    end else if (fill_q && q_v) begin
      fill_b_q <= q_end0 || fill_b_q == BW'(LB - 1) ? '0 : fill_b_q + BW'(1);
      if (q_end0) fill_w_q <= '0;
      else if (fill_b_q == BW'(LB - 1)) fill_w_q <= fill_w_q + AW'(1);
    end
    if (rst) write_q <= 1'b0;
    else write_q <= fill_q && q_v;
    write_end_q   <= q_end0;
    write_g_q     <= GW'(q_head0 - kv_head0 * 8'(G));
    write_b_q     <= fill_b_q;
    write_addr_q  <= QAW'((32'(q_token0) * HK + 32'(kv_head0)) * NW + 32'(fill_w_q));
    write_row_q   <= SAW'(32'(q_token0) * HK + 32'(kv_head0));
    write_data_q  <= q_data0;
    write_scale_q <= q_scale0;
  end

  for (genvar g = 0; g < G; g++) begin : g_we
    assign sq_we[g] = write_q && write_end_q && write_g_q == GW'(g);
    for (genvar b = 0; b < LB; b++) begin : g_beat
      assign q_we[g*LB+b] = write_q && write_g_q == GW'(g) && write_b_q == BW'(b);
    end
  end

  logic [8*G*LW-1:0] q1;
  logic [24*G-1:0] sq;
  logic [QAW-1:0] q_base_q, q_raddr;  // first word of the current token and KV head
  logic [SAW-1:0] row_q;
  logic take_header, take_k;

  ram_sdp #(
      .W(8 * G * LW),
      .DEPTH(QDEPTH),
      .SLICES(G * LB)
  ) u_qram (
      .clk,
      .we   (q_we),
      .waddr(write_addr_q),
      .wdata({(G * LB) {write_data_q}}),
      .re   (take_k),
      .raddr(q_raddr),
      .rdata(q1)
  );
  ram_sdp #(
      .W(24 * G),
      .DEPTH(SDEPTH),
      .SLICES(G)
  ) u_sqram (
      .clk,
      .we   (sq_we),
      .waddr(write_row_q),
      .wdata({G{write_scale_q}}),
      .re   (take_scales),  // one cycle after the header at least, so after the last write
      .raddr(row_q),
      .rdata(sq)
  );

  // ---- issue: what becomes of the word at the head of kv
  logic kv_v, take_scales, take_v, take;
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

  // ---- scales of the block: 16 of K, 16 of V
  logic [24*32-1:0] scales_q;
  for (genvar s = 0; s < 32; s++) begin : g_scale
    always_ff @(posedge clk) begin
      if (take_scales && scale_q == SWW'(s * 32 / W)) scales_q[24*s+:24] <= word0[s*32%W+:24];
    end
  end

  // ---- stages: what goes along with a word
  logic [LW*KVB-1:0] codes1_q;
  logic [31*G-1:0] p1_q;
  logic [LAST:1] k_q, k_first_q, k_end_q;  // K word; first, last of its vector
  logic [4*LAST+3:4] k_pos_q;
  logic [3:1] v_q, v_zero_q, v_end_q;  // V word; of the first position; the last one of a head
  logic [3*AW+AW-1:AW] v_w_q;
  logic [6*G-1:0] sh2_q, sh3_q;

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
    v_zero_q  <= {v_zero_q[2:1], first_q && pos_q == '0};
    v_end_q   <= {v_end_q[2:1], head_end};
    v_w_q     <= {v_w_q[3*AW-1:AW], w_q};
    codes1_q  <= word0[LW*KVB-1:0];
    p1_q      <= p0;
    sh2_q     <= p1_q[31*G-1:25*G];
    sh3_q     <= sh2_q;
  end

  // ---- lanes, and the dot product of each head
  logic [48*G*LW-1:0] acc;
  logic [22*G-1:0] dot;
  logic read;  // of the accumulators that leave
  logic [AW-1:0] read_w;

  for (genvar g = 0; g < G; g++) begin : g_head
    logic [16*LW-1:0] prod3;
    logic [21:0] word_dot, part_q;

    for (genvar l = 0; l < LW; l++) begin : g_lane
      logic [7:0] q;
      // Beyond HD nothing was written to the memory.
      if (l < TAIL) begin : g_full
        assign q = q1[8*(g*LW+l)+:8];
      end else begin : g_tail
        assign q = k_end_q[1] ? 8'd0 : q1[8*(g*LW+l)+:8];
      end

      attn_lane #(
          .KVB(KVB),
          .NW(NW),
          .AW(AW)
      ) u_lane (
          .clk,
          .k1    (k_q[1]),
          .q1    (q),
          .w1    (p1_q[25*g+:25]),
          .code1 (codes1_q[KVB*l+:KVB]),
          .prod3 (prod3[16*l+:16]),
          .re2   (v_q[2] || read),
          .raddr2(read ? read_w : v_w_q[2*AW+:AW]),
          .we3   (v_q[3]),
          .zero3 (v_zero_q[3]),
          .sh3   (sh3_q[6*g+:6]),
          .waddr3(v_w_q[3*AW+:AW]),
          .acc3  (acc[48*(g*LW+l)+:48])
      );
    end

    attn_tree #(
        .N(LW),
        .STAGES(TREE)
    ) u_tree (
        .clk,
        .in (prod3),
        .sum(word_dot)
    );
    assign dot[22*g+:22] = word_dot + (k_first_q[LAST] ? 22'd0 : part_q);
    always_ff @(posedge clk) if (k_q[LAST]) part_q <= dot[22*g+:22];
  end

  // ---- scores
  logic [3:0] pos_last;
  logic score_room;
  logic [4:0] score_count;

  assign pos_last = k_pos_q[4*LAST+:4];
  fifo #(
      .W(46 * G + 50),
      .DEPTH(16)
  ) u_score (
      .clk,
      .rst,
      .in_valid(k_q[LAST] && k_end_q[LAST]),
      .in_ready(score_room),
      .in_data({
        dot,
        sq,
        scales_q[24*{1'b0, pos_last}+:24],
        scales_q[24*{1'b1, pos_last}+:24],
        first_q && pos_last == '0,
        last_q && pos_last == top_q
      }),
      .out_valid(score_valid),
      .out_ready(score_ready),
      .out_data({score_dot, score_sq, score_sk, score_sv, score_first, score_last}),
      .count(score_count)
  );

  // ---- the accumulators of a finished head leave: head g, word, beat of the word
  logic leave_q, have_q, out_room, move, word_end, all_end;
  logic [GW-1:0] leave_g_q;
  logic [AW-1:0] leave_w_q;
  logic [BW-1:0] leave_b_q;
  logic last_w;
  logic [48*LW-1:0] leave_head;
  logic [48*VEC-1:0] leave_data;

  assign last_w = leave_w_q == AW'(NW - 1);
  assign move = leave_q && have_q && out_room;
  assign word_end = leave_b_q == (last_w ? BW'(TB - 1) : BW'(LB - 1));
  assign all_end = move && word_end && last_w && leave_g_q == GW'(G - 1);
  // The next word is read in the cycle in which the last beat of this one moves.
  assign read = leave_q && (!have_q || (move && word_end));
  assign read_w = !have_q ? leave_w_q : last_w ? '0 : leave_w_q + AW'(1);
  assign leave_head = acc[48*LW*32'(leave_g_q)+:48*LW];
  assign leave_data = leave_head[48*VEC*32'(leave_b_q)+:48*VEC];

  always_ff @(posedge clk) begin
    if (rst) begin
      leaving_q <= 1'b0;
      leave_q   <= 1'b0;
    end else begin
      leaving_q <= head_end || (leaving_q && !all_end);
      leave_q   <= (v_q[3] && v_end_q[3]) || (leave_q && !all_end);
    end
    if (!leave_q) begin
      have_q    <= NW == 1;
      leave_g_q <= '0;
      leave_w_q <= '0;
      leave_b_q <= '0;
    end else begin
      have_q <= 1'b1;
      if (move) begin
        leave_b_q <= word_end ? '0 : leave_b_q + BW'(1);
        if (word_end) begin
          leave_w_q <= last_w ? '0 : leave_w_q + AW'(1);
          if (last_w) leave_g_q <= leave_g_q + GW'(1);
        end
      end
    end
  end

  skid #(
      .W(48 * VEC)
  ) u_acc (
      .clk,
      .rst,
      .in_valid (leave_q && have_q),
      .in_ready (out_room),
      .in_data  (leave_data),
      .out_valid(acc_valid),
      .out_ready(acc_ready),
      .out_data (acc_data)
  );

  logic unused;
  assign unused = ^{q_index, word0, scales_q, score_room, score_count, v_w_q};
endmodule
