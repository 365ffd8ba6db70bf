// resid: the scaled residual add of docs/numerics.md section 6 for the tokens of a pass.
// A command takes n vectors of D elements, n scales s_x (s = s_x * co), then D * n sums row by row, in a row token by token, one a
// cycle: y = sat32(x + sat32(shr(acc * s.m, -s.e))). y overwrites x element by element (an element is read once, by its own sum,
// before it is written, so rows and tokens cannot disturb each other) and leaves in groups: token 0 as soon as the rows of a group
// are complete, the others after the last row. Timing: docs/blocks/resid.md.
module resid #(
    parameter int VEC   = 4,
    parameter int TW    = 1,
    parameter int BATCH = 1,
    parameter int D     = 64  // elements of a vector, a multiple of VEC
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              cmd_valid,
    output logic              cmd_ready,
    input  logic [      TW:0] cmd_n,
    input  logic              x_valid,
    output logic              x_ready,
    input  logic [32*VEC-1:0] x_data,
    input  logic              s_valid,
    output logic              s_ready,
    input  logic [    TW-1:0] s_token,
    input  logic [      23:0] s_scale,
    input  logic              sum_valid,
    output logic              sum_ready,
    input  logic [    TW-1:0] sum_token,
    input  logic [      21:0] sum_data,
    output logic              y_valid,
    input  logic              y_ready,
    output logic [32*VEC-1:0] y_data,
    input  logic [      23:0] co,
    output logic              sat,
    output logic [       1:0] sat_inc
);
  localparam int GROUPS = D / VEC;
  localparam int GW = $clog2(GROUPS + 1);  // counts 0..GROUPS
  localparam int LANES = VEC > 1 ? VEC : 2;
  localparam int LW = $clog2(LANES);
  localparam int DEPTH = BATCH * GROUPS > 2 ? BATCH * GROUPS : 2;
  localparam int AW = $clog2(DEPTH);
  localparam int TOKENS = BATCH > 2 ? BATCH : 2;
  localparam int TA = $clog2(TOKENS);
  localparam int LAST = 8;  // stage that holds y
  localparam int OUT = 4;  // groups in flight between the memory and y

  logic run, done;
  logic [TW:0] n;
  skid #(
      .W(TW + 1)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid(cmd_valid),
      .in_ready(cmd_ready),
      .in_data(cmd_n),
      .out_valid(run),
      .out_ready(done),
      .out_data(n)
  );

  // Vectors into memory, one group a cycle.
  logic x_have, load, loaded;
  logic [32*VEC-1:0] x_word;
  logic [TW:0] load_tok_q;
  logic [GW-1:0] load_g_q;
  logic [AW-1:0] load_a_q;
  wire load_last = load_g_q == GW'(GROUPS - 1);
  skid #(
      .W(32 * VEC)
  ) u_x (
      .clk,
      .rst,
      .in_valid(x_valid),
      .in_ready(x_ready),
      .in_data(x_data),
      .out_valid(x_have),
      .out_ready(load),
      .out_data(x_word)
  );
  assign loaded = load_tok_q == n;
  assign load   = run && x_have && !loaded;

  // Scales, beside the vectors: each is multiplied by co and kept for its token.
  logic s_have, scale_take, scale_write, scale_sat;
  logic [TW+23:0] s_word;
  logic [TW:0] s_taken_q, s_written_q;
  logic [TW-1:0] scale_tok_q[4];
  logic [23:0] scale_new, scale_read;
  skid #(
      .W(TW + 24)
  ) u_s (
      .clk,
      .rst,
      .in_valid(s_valid),
      .in_ready(s_ready),
      .in_data({s_token, s_scale}),
      .out_valid(s_have),
      .out_ready(scale_take),
      .out_data(s_word)
  );
  assign scale_take = run && s_have && s_taken_q != n;
  always_ff @(posedge clk) scale_tok_q[0] <= s_word[24+:TW];
  for (genvar i = 1; i < 4; i++) begin : g_scale_tok
    always_ff @(posedge clk) scale_tok_q[i] <= scale_tok_q[i-1];
  end
  scale_mul #(
      .EW(12)
  ) u_mul (
      .clk,
      .rst,
      .en(1'b1),
      .in_valid(scale_take),
      .in_a(s_word[23:0]),
      .in_b(co),
      .out_valid(scale_write),
      .out_scale(scale_new),
      .out_sat(scale_sat)
  );

  // Sums: one a cycle once vectors and scales are there. The address goes token by token through a row's group.
  logic sum_have, sum_take, tok_last;
  logic [TW+21:0] sum_word;
  logic [TW:0] tok_q;
  logic [GW-1:0] row_g_q;
  logic [LW-1:0] lane_q;
  logic [AW-1:0] row_a_q;
  skid #(
      .W(TW + 22)
  ) u_sum (
      .clk,
      .rst,
      .in_valid(sum_valid),
      .in_ready(sum_ready),
      .in_data({sum_token, sum_data}),
      .out_valid(sum_have),
      .out_ready(sum_take),
      .out_data(sum_word)
  );
  assign sum_take = run && sum_have && loaded && s_written_q == n && row_g_q != GW'(GROUPS);
  assign tok_last = tok_q + (TW + 1)'(1) == n;

  // Results: reads where the sums leave the port free and a place in the output FIFO is kept.
  logic emit, emit_last, y_take;
  logic [TW:0] emit_tok_q;
  logic [GW-1:0] emit_g_q, done_g_q;  // done_g_q: groups whose rows are complete for all tokens
  logic [AW-1:0] emit_a_q;
  logic [2:0] held_q;
  wire emit_open = emit_tok_q == '0 ? emit_g_q < done_g_q : done_g_q == GW'(GROUPS);
  assign emit = run && emit_tok_q != n && emit_open && !sum_take && held_q != 3'(OUT);
  assign emit_last = emit_g_q == GW'(GROUPS - 1);
  assign y_take = y_valid && y_ready;
  assign done = run && emit_tok_q == n;

  logic group_written;
  always_ff @(posedge clk) begin
    if (rst || done) begin
      load_tok_q <= '0;
      load_g_q <= '0;
      load_a_q <= '0;
      s_taken_q <= '0;
      s_written_q <= '0;
      tok_q <= '0;
      row_g_q <= '0;
      lane_q <= '0;
      row_a_q <= '0;
      emit_tok_q <= '0;
      emit_g_q <= '0;
      emit_a_q <= '0;
      done_g_q <= '0;
    end else begin
      if (load) begin
        load_g_q <= load_last ? '0 : load_g_q + GW'(1);
        load_a_q <= load_a_q + AW'(1);
        if (load_last) load_tok_q <= load_tok_q + (TW + 1)'(1);
      end
      if (scale_take) s_taken_q <= s_taken_q + (TW + 1)'(1);
      if (scale_write) s_written_q <= s_written_q + (TW + 1)'(1);
      if (sum_take) begin
        tok_q   <= tok_last ? '0 : tok_q + (TW + 1)'(1);
        row_a_q <= row_a_q + AW'(GROUPS);
        if (tok_last) begin
          lane_q  <= lane_q == LW'(VEC - 1) ? '0 : lane_q + LW'(1);
          row_a_q <= AW'(row_g_q);
          if (lane_q == LW'(VEC - 1)) begin
            row_g_q <= row_g_q + GW'(1);
            row_a_q <= AW'(row_g_q) + AW'(1);
          end
        end
      end
      if (emit) begin
        emit_g_q <= emit_last ? '0 : emit_g_q + GW'(1);
        emit_a_q <= emit_a_q + AW'(1);
        if (emit_last) emit_tok_q <= emit_tok_q + (TW + 1)'(1);
      end
      if (group_written) done_g_q <= done_g_q + GW'(1);
    end
    if (rst) held_q <= '0;
    else held_q <= held_q + {2'b0, emit} - {2'b0, y_take};
  end

  // Control beside the sum's data: bit or word i belongs to stage i, the sum that was taken i cycles ago.
  logic [LAST:1] sum_q, group_last_q;
  logic [LW-1:0] lane_s[1:LAST];
  logic [AW-1:0] addr_s[1:LAST];
  logic emit1_q;
  always_ff @(posedge clk) begin
    if (rst) sum_q <= '0;
    else sum_q <= {sum_q[LAST-1:1], sum_take};
    if (rst) emit1_q <= 1'b0;
    else emit1_q <= emit;
    group_last_q <= {group_last_q[LAST-1:1], tok_last && lane_q == LW'(VEC - 1)};
    lane_s[1] <= lane_q;
    addr_s[1] <= row_a_q;
  end
  for (genvar i = 2; i <= LAST; i++) begin : g_control
    always_ff @(posedge clk) begin
      lane_s[i] <= lane_s[i-1];
      addr_s[i] <= addr_s[i-1];
    end
  end
  assign group_written = sum_q[LAST] && group_last_q[LAST];

  // Memory of the vectors, written whole by the load and element by element by the sums.
  logic [32*VEC-1:0] x_read;
  logic [VEC-1:0] x_we;
  logic [31:0] y8_q;
  for (genvar i = 0; i < VEC; i++) begin : g_we
    assign x_we[i] = load || (sum_q[LAST] && lane_s[LAST] == LW'(i));
  end
  ram_sdp #(
      .W(32 * VEC),
      .DEPTH(DEPTH),
      .SLICES(VEC)
  ) u_mem (
      .clk,
      .we(x_we),
      .waddr(load ? load_a_q : addr_s[LAST]),
      .wdata(load ? x_word : {VEC{y8_q}}),
      .re(sum_take || emit),
      .raddr(sum_take ? row_a_q : emit_a_q),
      .rdata(x_read)
  );
  ram_sdp #(
      .W(24),
      .DEPTH(TOKENS)
  ) u_scales (
      .clk,
      .we(scale_write),
      .waddr(TA'(scale_tok_q[3])),
      .wdata(scale_new),
      .re(sum_take),
      .raddr(TA'(sum_word[22+:TW])),
      .rdata(scale_read)
  );

  // Stage 1: memories read. 2: element chosen. 3: product. 4, 5: shifted to one fraction bit, in coarse and fine steps; the shift
  // takes {product, 33 zeros} right by 32 - e, limited to 0..72, beyond which nothing changes. 6: clamped to 34 bits, which
  // still saturate. 7: rounded and clamped to 32. 8: added and clamped.
  logic signed [21:0] acc1_q, acc2_q;
  logic signed [31:0] x_s[2:7];
  logic [15:0] m2_q;
  logic [7:0] e2_q;
  logic signed [37:0] p3_q;
  logic [6:0] by2, by3_q;
  logic [2:0] by4_q;
  logic signed [70:0] t4_q, t5_q;
  logic signed [33:0] t6_q;
  logic signed [31:0] d7_q;
  logic sat7_q, sat8a_q, sat8b_q;
  logic [9:0] by2_wide;
  assign by2_wide = 10'd32 - 10'($signed(e2_q));
  assign by2 = by2_wide[9] ? 7'd0 : by2_wide > 10'd72 ? 7'd72 : by2_wide[6:0];

  wire t5_out = t5_q[70:33] != {38{t5_q[70]}};
  wire signed [34:0] rounded = 35'(t6_q) + 35'sd1;
  wire d_out = rounded[34:32] != {3{rounded[34]}};
  wire signed [32:0] total = 33'(x_s[7]) + 33'(d7_q);
  wire y_out = total[32] != total[31];
  wire unused_round = &{1'b0, rounded[0], 1'b0};

  always_ff @(posedge clk) begin
    acc1_q <= sum_word[21:0];
    acc2_q <= acc1_q;
    x_s[2] <= x_read[32*lane_s[1]+:32];
    m2_q <= scale_read[15:0];
    e2_q <= scale_read[23:16];
    p3_q <= 38'(acc2_q) * $signed({22'b0, m2_q});
    by3_q <= by2;
    t4_q <= $signed({p3_q, 33'b0}) >>> {by3_q[6:3], 3'b0};
    by4_q <= by3_q[2:0];
    t5_q <= t4_q >>> by4_q;
    t6_q <= t5_out ? {t5_q[70], {33{!t5_q[70]}}} : t5_q[33:0];
    d7_q <= d_out ? {rounded[34], {31{!rounded[34]}}} : rounded[32:1];
    sat7_q <= d_out;
    y8_q <= y_out ? {total[32], {31{!total[32]}}} : total[31:0];
    sat8a_q <= sat7_q;
    sat8b_q <= y_out;
  end
  for (genvar i = 3; i <= 7; i++) begin : g_x
    always_ff @(posedge clk) x_s[i] <= x_s[i-1];
  end

  logic unused_ready;
  logic [2:0] unused_count;
  fifo #(
      .W(32 * VEC),
      .DEPTH(OUT)
  ) u_y (
      .clk,
      .rst,
      .in_valid(emit1_q),
      .in_ready(unused_ready),
      .in_data(x_read),
      .out_valid(y_valid),
      .out_ready(y_ready),
      .out_data(y_data),
      .count(unused_count)
  );

  // Saturations of this cycle: both clamps of an element, or the scale's exponent (which comes before the first sum).
  logic sat_q;
  assign sat_inc = {1'b0, sum_q[LAST] && sat8a_q} + {1'b0, (sum_q[LAST] && sat8b_q) || (scale_write && scale_sat)};
  assign sat = sat_q;
  always_ff @(posedge clk) begin
    if (rst) sat_q <= 1'b0;
    else if (sat_inc != 2'd0) sat_q <= 1'b1;
  end
endmodule
