// headq: codes and scales of the K, V and Q heads of a pass from their rotated pairs (docs/numerics.md section 4).
// In: cmd {tokens}; the n token scales s; pairs (elements j and j + HD/2) head by head, pair by pair, token by token; the constant
// scales cq, ck, cv, taken when the command starts. Out: for each head and token HD/VEC beats of VEC codes in natural order, of K and
// V heads on kv, of Q heads on q; the scale stands on the beat with last, 0 on the others. index counts the beats of a vector.
// Two buffers: the pairs of a head arrive while the codes of the one before leave. First beat LATENCY = 15 cycles after the head's last
// pair was accepted, then a beat a cycle. The next command starts when the last beat has left.
// sat: an exponent left its range since reset; sat_inc: how many did in one cycle.
module headq #(
    parameter int HD    = 64,
    parameter int H     = 4,
    parameter int HK    = 2,
    parameter int BATCH = 4,
    parameter int VEC   = 4,
    parameter int KVB   = 8,  // bits of a K or V code: 8, 6 or 4
    parameter int TW    = (BATCH > 1) ? $clog2(BATCH) : 1  // derived, not to be set
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             cmd_valid,
    output logic             cmd_ready,
    input  logic [     TW:0] cmd_n,
    input  logic             s_valid,
    output logic             s_ready,
    input  logic [   TW-1:0] s_token,
    input  logic [     23:0] s_scale,
    input  logic             pair_valid,
    output logic             pair_ready,
    input  logic [   TW-1:0] pair_token,
    input  logic [     37:0] pair_r0,
    input  logic [     37:0] pair_r1,
    input  logic [     23:0] cq,
    input  logic [     23:0] ck,
    input  logic [     23:0] cv,
    output logic             kv_valid,
    input  logic             kv_ready,
    output logic             kv_kind,
    output logic [      7:0] kv_head,
    output logic [   TW-1:0] kv_token,
    output logic [      6:0] kv_index,
    output logic             kv_last,
    output logic [     23:0] kv_scale,
    output logic [8*VEC-1:0] kv_data,
    output logic             q_valid,
    input  logic             q_ready,
    output logic [      7:0] q_head,
    output logic [   TW-1:0] q_token,
    output logic [      6:0] q_index,
    output logic             q_last,
    output logic [     23:0] q_scale,
    output logic [8*VEC-1:0] q_data,
    output logic             sat,
    output logic [      1:0] sat_inc
);
  localparam int PAIRS = HD / 2;
  localparam int JW = $clog2(PAIRS);
  localparam int BEATS = HD / VEC;
  localparam int DW = $clog2(HD);
  localparam int BASE = PAIRS / VEC;  // first beat with elements of the upper half
  localparam int ROWS = BEATS - BASE;  // beats with elements of one half
  localparam int RW = (ROWS > 1) ? $clog2(ROWS) : 1;
  localparam int AW = 1 + TW + RW;  // buffer, token, row
  localparam int MW = 37;  // bits of a magnitude
  localparam int EW = MW + 1;  // sign and magnitude
  localparam int TAG = 2 + 8 + TW + 7 + 2;

  // Streams.
  logic c_valid, c_take, ts_valid, ts_take, p_valid, p_take;
  logic [TW:0] c_n;
  logic [TW-1:0] ts_token, p_token;
  logic [23:0] ts_scale;
  logic [37:0] p_r0, p_r1;
  skid #(
      .W(TW + 1)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid (cmd_valid),
      .in_ready (cmd_ready),
      .in_data  (cmd_n),
      .out_valid(c_valid),
      .out_ready(c_take),
      .out_data (c_n)
  );
  skid #(
      .W(24 + TW)
  ) u_s (
      .clk,
      .rst,
      .in_valid (s_valid),
      .in_ready (s_ready),
      .in_data  ({s_token, s_scale}),
      .out_valid(ts_valid),
      .out_ready(ts_take),
      .out_data ({ts_token, ts_scale})
  );
  skid #(
      .W(76 + TW)
  ) u_pair (
      .clk,
      .rst,
      .in_valid (pair_valid),
      .in_ready (pair_ready),
      .in_data  ({pair_token, pair_r1, pair_r0}),
      .out_valid(p_valid),
      .out_ready(p_take),
      .out_data ({p_token, p_r1, p_r0})
  );

  // The command, its constants, the tokens' scales.
  logic active_q, done;
  logic [TW:0] n_q, scales_q;
  logic [23:0] cq_q, ck_q, cv_q;
  logic [23:0] sx[0:(1<<TW)-1];
  assign c_take  = !active_q || done;
  assign ts_take = active_q && scales_q != n_q;
  always_ff @(posedge clk) begin
    if (rst) active_q <= 1'b0;
    else if (c_take) active_q <= c_valid;
    if (c_take) begin
      n_q <= c_n;
      cq_q <= cq;
      ck_q <= ck;
      cv_q <= cv;
      scales_q <= '0;
    end else if (ts_take && ts_valid) begin
      scales_q <= scales_q + (TW + 1)'(1);
    end
    if (ts_take && ts_valid) sx[ts_token] <= ts_scale;
  end

  // Pairs into the buffer `fill`. A head is at least 16 pairs, so its buffer is marked full before the other one is.
  logic [1:0] full_q;
  logic fill_q, all_in_q, p_step;
  logic [TW:0] in_t_q;
  logic [JW-1:0] in_j_q;
  logic [9:0] in_head_q;
  logic in_last_t, in_last_j, in_last;
  assign in_last_t = in_t_q + (TW + 1)'(1) == n_q;
  assign in_last_j = in_last_t && in_j_q == JW'(PAIRS - 1);
  assign in_last   = in_last_j && in_head_q == 10'(2 * HK + H - 1);
  assign p_take    = active_q && !all_in_q && !full_q[fill_q];
  assign p_step    = p_take && p_valid;
  always_ff @(posedge clk) begin
    if (rst) fill_q <= 1'b0;
    else if (p_step && in_last_j) fill_q <= !fill_q;
    if (c_take) begin
      all_in_q <= 1'b0;
      in_t_q <= '0;
      in_j_q <= '0;
      in_head_q <= '0;
    end else if (p_step) begin
      all_in_q <= in_last;
      in_t_q   <= in_last_t ? '0 : in_t_q + (TW + 1)'(1);
      if (in_last_t) in_j_q <= in_last_j ? '0 : in_j_q + JW'(1);
      if (in_last_j) in_head_q <= in_head_q + 10'd1;
    end
  end

  // Stage 1: sign and magnitude, written to the memories. Stage 2: the larger of the two, into the token's absmax.
  logic w1_q, w2_q, first1_q, first2_q, last1_q, last2_q, fill1_q, fill2_q;
  logic [TW-1:0] token1_q, token2_q;
  logic [JW-1:0] j1_q;
  logic [EW-1:0] e0_1_q, e1_1_q;
  logic [MW-1:0] m2_q, best;
  logic [37:0] neg0, neg1;
  wire unused_neg = &{1'b0, neg0[37], neg1[37], 1'b0};
  assign neg0 = -p_r0;
  assign neg1 = -p_r1;
  logic [MW-1:0] amax[0:(2<<TW)-1];
  assign best = amax[{fill2_q, token2_q}];
  always_ff @(posedge clk) begin
    if (rst) begin
      w1_q <= 1'b0;
      w2_q <= 1'b0;
    end else begin
      w1_q <= p_step;
      w2_q <= w1_q;
    end
    fill1_q  <= fill_q;
    token1_q <= p_token;
    j1_q     <= in_j_q;
    first1_q <= in_j_q == '0;
    last1_q  <= in_last_j;
    e0_1_q   <= {p_r0[37], p_r0[37] ? neg0[36:0] : p_r0[36:0]};
    e1_1_q   <= {p_r1[37], p_r1[37] ? neg1[36:0] : p_r1[36:0]};
    fill2_q  <= fill1_q;
    token2_q <= token1_q;
    first2_q <= first1_q;
    last2_q  <= last1_q;
    m2_q     <= (e0_1_q[MW-1:0] > e1_1_q[MW-1:0]) ? e0_1_q[MW-1:0] : e1_1_q[MW-1:0];
    if (w2_q) amax[{fill2_q, token2_q}] <= (first2_q || m2_q > best) ? m2_q : best;
  end

  // Element d lies in lane d mod VEC; beats below BASE + 1 in the lower memory, from BASE on in the upper one.
  logic [DW-1:0] d_high;
  logic [VEC-1:0] we_low, we_high;
  logic [RW-1:0] row_low, row_high;
  assign d_high   = {1'b0, j1_q} + DW'(PAIRS);
  assign row_low  = RW'(32'(j1_q) / VEC);
  assign row_high = RW'(32'(d_high) / VEC - BASE);
  for (genvar v = 0; v < VEC; v++) begin : g_we
    assign we_low[v]  = w1_q && 32'(j1_q) % VEC == v;
    assign we_high[v] = w1_q && 32'(d_high) % VEC == v;
  end

  // Codes leave the buffer `drain` token by token, all of a head once it is full and the tokens' scales are there.
  logic en, issue, drain_q, all_out_q;
  logic [TW:0] out_t_q;
  logic [6:0] out_i_q;
  logic [9:0] out_head_q;
  logic out_last_i, out_last_t, out_last;
  logic [TW-1:0] out_token;
  assign issue      = active_q && !all_out_q && full_q[drain_q] && scales_q == n_q;
  assign out_last_i = out_i_q == 7'(BEATS - 1);
  assign out_last_t = out_last_i && out_t_q + (TW + 1)'(1) == n_q;
  assign out_last   = out_last_t && out_head_q == 10'(2 * HK + H - 1);
  assign out_token  = out_t_q[TW-1:0];
  always_ff @(posedge clk) begin
    if (rst) drain_q <= 1'b0;
    else if (en && issue && out_last_t) drain_q <= !drain_q;
    if (c_take) begin
      all_out_q <= 1'b0;
      out_i_q <= '0;
      out_t_q <= '0;
      out_head_q <= '0;
    end else if (en && issue) begin
      all_out_q <= out_last;
      out_i_q   <= out_last_i ? '0 : out_i_q + 7'd1;
      if (out_last_i) out_t_q <= out_last_t ? '0 : out_t_q + (TW + 1)'(1);
      if (out_last_t) out_head_q <= out_head_q + 10'd1;
    end
    if (rst) full_q <= '0;
    else begin
      if (w2_q && last2_q) full_q[fill2_q] <= 1'b1;
      if (en && issue && out_last_t) full_q[drain_q] <= 1'b0;
    end
  end

  logic [EW*VEC-1:0] low, high;
  logic [RW-1:0] out_low, out_high;
  assign out_low  = RW'(out_i_q);
  assign out_high = RW'(out_i_q - 7'(BASE));
  ram_sdp #(
      .W(EW * VEC),
      .DEPTH(1 << AW),
      .SLICES(VEC)
  ) u_low (
      .clk,
      .we(we_low),
      .waddr({fill1_q, token1_q, row_low}),
      .wdata({VEC{e0_1_q}}),
      .re(en && issue),
      .raddr({drain_q, out_token, out_low}),
      .rdata(low)
  );
  ram_sdp #(
      .W(EW * VEC),
      .DEPTH(1 << AW),
      .SLICES(VEC)
  ) u_high (
      .clk,
      .we(we_high),
      .waddr({fill1_q, token1_q, row_high}),
      .wdata({VEC{e1_1_q}}),
      .re(en && issue),
      .raddr({drain_q, out_token, out_high}),
      .rdata(high)
  );

  // Stage r1 beside the memories' read registers: absmax, and what the beat is.
  // which: 0 K, 1 V, 2 Q.
  logic r1_valid_q;
  logic [1:0] r1_which_q, which;
  logic [7:0] r1_head_q, head;
  logic [TW-1:0] r1_token_q;
  logic [6:0] r1_i_q;
  logic r1_last_q, r1_end_q;
  logic [MW-1:0] r1_a_q;
  always_comb begin
    which = 2'd2;
    head  = 8'(out_head_q - 10'(2 * HK));
    if (out_head_q < 10'(HK)) begin
      which = 2'd0;
      head  = 8'(out_head_q);
    end else if (out_head_q < 10'(2 * HK)) begin
      which = 2'd1;
      head  = 8'(out_head_q - 10'(HK));
    end
  end
  always_ff @(posedge clk) begin
    if (rst) r1_valid_q <= 1'b0;
    else if (en) r1_valid_q <= issue;
    if (en) begin
      r1_which_q <= which;
      r1_head_q  <= head;
      r1_token_q <= out_token;
      r1_i_q     <= out_i_q;
      r1_last_q  <= out_last_i;
      r1_end_q   <= out_last;
      r1_a_q     <= amax[{drain_q, out_token}];
    end
  end

  // Codes: ten stages in the divider for Q = 127; the shorter one of narrow K and V codes is delayed to the same.
  logic [VEC*MW-1:0] mag;
  logic [VEC-1:0] neg;
  for (genvar v = 0; v < VEC; v++) begin : g_lane
    logic upper;
    logic [EW-1:0] element;
    assign upper = 32'(r1_i_q) * VEC + v >= PAIRS;
    assign element = upper ? high[v*EW+:EW] : low[v*EW+:EW];
    assign mag[v*MW+:MW] = element[MW-1:0];
    assign neg[v] = element[MW];
  end
  logic o_valid;
  logic [TAG-1:0] o_tag;
  logic [8*VEC-1:0] o_wide, o_codes;
  logic [1:0] o_which;
  logic [7:0] o_head;
  logic [TW-1:0] o_token;
  logic [6:0] o_index;
  logic o_last, o_end;
  rhe_div #(
      .W(MW),
      .QMAX(127),
      .LANES(VEC),
      .TAG(TAG)
  ) u_div (
      .clk,
      .rst,
      .en,
      .in_valid(r1_valid_q),
      .in_mag(mag),
      .in_neg(neg),
      .in_a(r1_a_q),
      .in_tag({r1_which_q, r1_head_q, r1_token_q, r1_i_q, r1_last_q, r1_end_q}),
      .out_valid(o_valid),
      .out_q(o_wide),
      .out_tag(o_tag)
  );
  assign {o_which, o_head, o_token, o_index, o_last, o_end} = o_tag;
  if (KVB == 8) begin : g_one
    assign o_codes = o_wide;
  end else begin : g_two
    localparam int QMAX = (1 << (KVB - 1)) - 1;
    localparam int DELAY = 8 - KVB;  // quotient bits that the narrow divider does not have
    logic [KVB*VEC-1:0] narrow;
    logic n_valid, n_tag;
    wire unused_narrow = &{1'b0, n_valid, n_tag, 1'b0};
    rhe_div #(
        .W(MW),
        .QMAX(QMAX),
        .LANES(VEC)
    ) u_narrow (
        .clk,
        .rst,
        .en,
        .in_valid(r1_valid_q),
        .in_mag(mag),
        .in_neg(neg),
        .in_a(r1_a_q),
        .in_tag(1'b0),
        .out_valid(n_valid),
        .out_q(narrow),
        .out_tag(n_tag)
    );
    for (genvar i = 0; i < DELAY; i++) begin : g_delay
      logic [KVB*VEC-1:0] code_q;
      if (i == 0) begin : g_first
        always_ff @(posedge clk) if (en) code_q <= narrow;
      end else begin : g_next
        always_ff @(posedge clk) if (en) code_q <= g_delay[i-1].code_q;
      end
    end
    for (genvar v = 0; v < VEC; v++) begin : g_code
      logic [KVB-1:0] code;
      assign code = g_delay[DELAY-1].code_q[v*KVB+:KVB];
      assign o_codes[v*8+:8] = (o_which == 2'd2) ? o_wide[v*8+:8] : {{(8 - KVB) {code[KVB-1]}}, code};
    end
  end

  // Scale of a vector, from its first beat on: norm of the absmax in stages 1..4, times s_x 4..8, times the constant 8..12. A vector
  // has at least two beats and the codes of its second one come out of stage 11 one cycle later: in time for the last.
  logic a_valid, x_valid, z_valid, a_sat, x_sat, z_sat;
  logic [23:0] a_scale, x_scale, z_scale, sx4_q, c8_q, hold_q;
  logic [TW-1:0] token_2_q, token_3_q;
  logic [1:0] which_2_q, which_3_q, which_4_q, which_5_q, which_6_q, which_7_q;
  wire unused_sat = &{1'b0, a_valid, a_sat, 1'b0};
  scale_norm #(
      .VW(MW),
      .EW(12)
  ) u_a (
      .clk,
      .rst,
      .en,
      .in_valid(r1_valid_q && r1_i_q == '0),
      .in_v(r1_a_q),
      .in_e(12'd0),
      .out_valid(a_valid),
      .out_scale(a_scale),
      .out_sat(a_sat)
  );
  scale_mul u_x (
      .clk,
      .rst,
      .en,
      .in_valid(a_valid),
      .in_a(a_scale),
      .in_b(sx4_q),
      .out_valid(x_valid),
      .out_scale(x_scale),
      .out_sat(x_sat)
  );
  scale_mul u_z (
      .clk,
      .rst,
      .en,
      .in_valid(x_valid),
      .in_a(x_scale),
      .in_b(c8_q),
      .out_valid(z_valid),
      .out_scale(z_scale),
      .out_sat(z_sat)
  );
  logic sat_q;
  logic [1:0] sat_inc_q;
  always_ff @(posedge clk) begin
    if (en) begin
      token_2_q <= r1_token_q;
      token_3_q <= token_2_q;
      sx4_q     <= sx[token_3_q];
      which_2_q <= r1_which_q;
      which_3_q <= which_2_q;
      which_4_q <= which_3_q;
      which_5_q <= which_4_q;
      which_6_q <= which_5_q;
      which_7_q <= which_6_q;
      c8_q      <= (which_7_q == 2'd0) ? ck_q : (which_7_q == 2'd1) ? cv_q : cq_q;
      if (z_valid) hold_q <= z_scale;
    end
    if (rst) begin
      sat_q <= 1'b0;
      sat_inc_q <= '0;
    end else begin
      sat_inc_q <= en ? {1'b0, x_valid && x_sat} + {1'b0, z_valid && z_sat} : 2'd0;
      if (sat_inc_q != '0) sat_q <= 1'b1;
    end
  end
  assign sat     = sat_q;
  assign sat_inc = sat_inc_q;

  logic [23:0] o_scale;
  assign o_scale  = !o_last ? '0 : z_valid ? z_scale : hold_q;
  assign en       = !o_valid || (o_which == 2'd2 ? q_ready : kv_ready);
  assign done     = o_valid && en && o_end;
  assign kv_valid = o_valid && o_which != 2'd2;
  assign kv_kind  = o_which[0];
  assign kv_head  = o_head;
  assign kv_token = o_token;
  assign kv_index = o_index;
  assign kv_last  = o_last;
  assign kv_scale = o_scale;
  assign kv_data  = o_codes;
  assign q_valid  = o_valid && o_which == 2'd2;
  assign q_head   = o_head;
  assign q_token  = o_token;
  assign q_index  = o_index;
  assign q_last   = o_last;
  assign q_scale  = o_scale;
  assign q_data   = o_codes;
endmodule
