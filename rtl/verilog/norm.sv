// norm: RMSNorm and absmax int8 of docs/numerics.md section 2, for the tokens of a pass, VEC elements a cycle.
// A command takes groups * VEC gains, then n vectors from x0 or x1 (gains and the first vector run side by side, the vector one
// cycle behind), then sends n * groups beats of codes, token by token, and to s0 or s1 one scale a token as soon as it is known.
// Three passes of one beat a cycle each; the statistics and the codes share the multipliers. Timing: docs/blocks/norm.md.
module norm #(
    parameter int W     = 128,  // bits of a super-word, a multiple of 32 * VEC
    parameter int VEC   = 4,
    parameter int TW    = 1,
    parameter int BATCH = 1,
    parameter int K     = 64    // longest vector, a multiple of VEC
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              cmd_valid,
    output logic              cmd_ready,
    input  logic [      14:0] cmd_groups,
    input  logic [      TW:0] cmd_n,
    input  logic [       0:0] cmd_src,
    input  logic [       0:0] cmd_dest,
    input  logic [      63:0] cmd_eps,
    input  logic [      23:0] cmd_c,
    input  logic              gain_valid,
    output logic              gain_ready,
    input  logic [     W-1:0] gain_data,
    input  logic              x0_valid,
    output logic              x0_ready,
    input  logic [32*VEC-1:0] x0_data,
    input  logic              x1_valid,
    output logic              x1_ready,
    input  logic [32*VEC-1:0] x1_data,
    output logic              act_valid,
    input  logic              act_ready,
    output logic [    TW-1:0] act_token,
    output logic [      14:0] act_index,
    output logic [ 8*VEC-1:0] act_data,
    output logic              s0_valid,
    input  logic              s0_ready,
    output logic [    TW-1:0] s0_token,
    output logic [      23:0] s0_scale,
    output logic              s1_valid,
    input  logic              s1_ready,
    output logic [    TW-1:0] s1_token,
    output logic [      23:0] s1_scale,
    output logic              sat,
    output logic              sat_inc
);
  localparam int SUBS = W / (32 * VEC);  // groups of gains in a super-word
  localparam int SUBW = SUBS > 1 ? $clog2(SUBS) : 1;
  localparam int KG = K / VEC > 2 ? K / VEC : 2;  // words of the gain memory
  localparam int KA = $clog2(KG);
  localparam int XA = $clog2(BATCH * KG);
  localparam int TOKENS = BATCH > 2 ? BATCH : 2;  // words of the token memories
  localparam int TA = $clog2(TOKENS);
  localparam int LV = $clog2(VEC);  // levels of the adder and maximum trees
  localparam int TREE = 6 + LV;  // stage that holds a beat's maximum and sum
  localparam int ACTS = 32;  // beats of codes in flight: more than the 19 cycles of the round trip
  localparam int SUMW = 63 + LV;

  // Command: the head of its skid stands until the command has ended.
  logic run, done;
  logic [14:0] groups;
  logic [TW:0] n;
  logic [0:0] src, dest;
  logic [63:0] eps;
  logic [23:0] c;
  skid #(
      .W(106 + TW)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid(cmd_valid),
      .in_ready(cmd_ready),
      .in_data({cmd_c, cmd_eps, cmd_dest, cmd_src, cmd_n, cmd_groups}),
      .out_valid(run),
      .out_ready(done),
      .out_data({c, eps, dest, src, n, groups})
  );

  // Gains: one group a cycle out of the super-word at the head.
  logic gain_have, gain_take, gain_last;
  logic [W-1:0] gain_word;
  logic [14:0] gains_q;
  logic [SUBW-1:0] gain_sub_q;
  logic [17*VEC-1:0] gain_in, gain_out;
  skid #(
      .W(W)
  ) u_gain (
      .clk,
      .rst,
      .in_valid(gain_valid),
      .in_ready(gain_ready),
      .in_data(gain_data),
      .out_valid(gain_have),
      .out_ready(gain_take && gain_last),
      .out_data(gain_word)
  );
  assign gain_take = run && gain_have && gains_q != groups;
  assign gain_last = gain_sub_q == SUBW'(SUBS - 1) || gains_q == groups - 15'd1;
  wire [W-1:0] gain_shifted = gain_word >> (32 * VEC * gain_sub_q);
  wire unused_gain = &{1'b0, gain_shifted, 1'b0};
  for (genvar i = 0; i < VEC; i++) begin : g_gain
    assign gain_in[17*i+:17] = gain_shifted[32*i+:17];
  end

  // Vectors: one group a cycle from the chosen source, once its gains are there.
  logic x0_have, x1_have, load, load_done, load_last;
  logic [32*VEC-1:0] x0_word, x1_word;
  logic [TW:0] load_tok_q;
  logic [14:0] load_g_q;
  logic [XA-1:0] load_a_q;
  skid #(
      .W(32 * VEC)
  ) u_x0 (
      .clk,
      .rst,
      .in_valid(x0_valid),
      .in_ready(x0_ready),
      .in_data(x0_data),
      .out_valid(x0_have),
      .out_ready(load && !src[0]),
      .out_data(x0_word)
  );
  skid #(
      .W(32 * VEC)
  ) u_x1 (
      .clk,
      .rst,
      .in_valid(x1_valid),
      .in_ready(x1_ready),
      .in_data(x1_data),
      .out_valid(x1_have),
      .out_ready(load && src[0]),
      .out_data(x1_word)
  );
  assign load_done = load_tok_q == n;
  assign load_last = load_g_q == groups - 15'd1;
  assign load = run && !load_done && (src[0] ? x1_have : x0_have) && load_g_q < gains_q;

  // Codes: one group a cycle, once all statistics are there and a place in the output FIFO is kept.
  logic quant, quant_done, quant_last, act_take;
  logic [TW:0] stats_q, quant_tok_q, scaled_q;
  logic [14:0] quant_g_q;
  logic [XA-1:0] quant_a_q;
  logic [5:0] held_q;
  assign quant_done = quant_tok_q == n;
  assign quant_last = quant_g_q == groups - 15'd1;
  assign quant = run && stats_q == n && !quant_done && held_q != 6'(ACTS);
  assign act_take = act_valid && act_ready;

  // The command ends when its last codes are on their way and its last scale stands in the output register.
  assign done = run && quant_done && scaled_q == n;
  logic stat_write, scale_done;
  always_ff @(posedge clk) begin
    if (rst || done) begin
      gains_q <= '0;
      gain_sub_q <= '0;
      load_tok_q <= '0;
      load_g_q <= '0;
      load_a_q <= '0;
      stats_q <= '0;
      quant_tok_q <= '0;
      quant_g_q <= '0;
      quant_a_q <= '0;
      scaled_q <= '0;
    end else begin
      if (gain_take) begin
        gains_q <= gains_q + 15'd1;
        gain_sub_q <= gain_last ? '0 : gain_sub_q + SUBW'(1);
      end
      if (load) begin
        load_g_q <= load_last ? '0 : load_g_q + 15'd1;
        load_a_q <= load_a_q + XA'(1);
        if (load_last) load_tok_q <= load_tok_q + (TW + 1)'(1);
      end
      if (quant) begin
        quant_g_q <= quant_last ? '0 : quant_g_q + 15'd1;
        quant_a_q <= quant_a_q + XA'(1);
        if (quant_last) quant_tok_q <= quant_tok_q + (TW + 1)'(1);
      end
      if (stat_write) stats_q <= stats_q + (TW + 1)'(1);
      if (scale_done) scaled_q <= scaled_q + (TW + 1)'(1);
    end
    if (rst) held_q <= '0;
    else held_q <= held_q + {5'b0, quant} - {5'b0, act_take};
  end

  // Control beside the data: bit i belongs to stage i, the beat that was issued i cycles ago.
  logic [TREE+1:1] load_q, first_q, last_q;
  logic [6:1] quant_q;
  logic [TW-1:0] tok_q[1:TREE+1];
  logic [14:0] index_q[1:6];
  always_ff @(posedge clk) begin
    if (rst) begin
      load_q  <= '0;
      quant_q <= '0;
    end else begin
      load_q  <= {load_q[TREE:1], load};
      quant_q <= {quant_q[5:1], quant};
    end
    first_q <= {first_q[TREE:1], load_g_q == 15'd0};
    last_q <= {last_q[TREE:1], load_last};
    tok_q[1] <= quant ? quant_tok_q[TW-1:0] : load_tok_q[TW-1:0];
    index_q[1] <= quant_g_q;
  end
  for (genvar i = 2; i <= TREE + 1; i++) begin : g_tok
    always_ff @(posedge clk) tok_q[i] <= tok_q[i-1];
  end
  for (genvar i = 2; i <= 6; i++) begin : g_index
    always_ff @(posedge clk) index_q[i] <= index_q[i-1];
  end

  // Stages 1, 2: x from its stream or from memory, and its gains.
  wire [32*VEC-1:0] load_word = src[0] ? x1_word : x0_word;
  logic [32*VEC-1:0] x1_q, x2_q, x_read;
  logic [17*VEC-1:0] g2_q;
  ram_sdp #(
      .W(17 * VEC),
      .DEPTH(KG)
  ) u_gains (
      .clk,
      .we(gain_take),
      .waddr(gains_q[KA-1:0]),
      .wdata(gain_in),
      .re(load || quant),
      .raddr(quant ? quant_g_q[KA-1:0] : load_g_q[KA-1:0]),
      .rdata(gain_out)
  );
  ram_sdp #(
      .W(32 * VEC),
      .DEPTH(BATCH * KG)
  ) u_x (
      .clk,
      .we(load),
      .waddr(load_a_q),
      .wdata(load_word),
      .re(quant),
      .raddr(quant_a_q),
      .rdata(x_read)
  );
  always_ff @(posedge clk) begin
    x1_q <= load_word;
    x2_q <= quant_q[1] ? x_read : x1_q;
    g2_q <= gain_out;
  end

  // Stages 3..5: products (two registers more for the multipliers' own pipeline). Stage 6: magnitude and sign of u.
  logic [47*VEC-1:0] mag_q;
  logic [63*VEC-1:0] sq_q;
  logic [VEC-1:0] neg_q;
  for (genvar i = 0; i < VEC; i++) begin : g_mul
    logic [47:0] u3_q, u4_q, u5_q, u_abs;
    logic [63:0] sq3_q, sq4_q, sq5_q;
    wire signed [31:0] x = x2_q[32*i+:32];
    wire signed [16:0] g = g2_q[17*i+:17];
    assign u_abs = u5_q[47] ? -u5_q : u5_q;
    wire unused_top = &{1'b0, u_abs[47], sq5_q[63], 1'b0};
    always_ff @(posedge clk) begin
      u3_q <= 48'(x) * 48'(g);
      u4_q <= u3_q;
      u5_q <= u4_q;
      sq3_q <= 64'(x) * 64'(x);
      sq4_q <= sq3_q;
      sq5_q <= sq4_q;
      mag_q[47*i+:47] <= u_abs[46:0];
      neg_q[i] <= u5_q[47];
      sq_q[63*i+:63] <= sq5_q[62:0];
    end
  end

  // Stages 7..TREE: maximum and sum of a beat, halving at each level; level 0 is stage 6.
  for (genvar l = 0; l <= LV; l++) begin : g_level
    logic [47*(VEC>>l)-1:0] max_q;
    logic [SUMW*(VEC>>l)-1:0] sum_q;
    for (genvar i = 0; i < (VEC >> l); i++) begin : g_node
      if (l == 0) begin : g_leaf
        assign max_q[47*i+:47] = mag_q[47*i+:47];
        assign sum_q[SUMW*i+:SUMW] = SUMW'(sq_q[63*i+:63]);
      end else begin : g_pair
        wire [46:0] a = g_level[l-1].max_q[94*i+:47];
        wire [46:0] b = g_level[l-1].max_q[94*i+47+:47];
        always_ff @(posedge clk) begin
          max_q[47*i+:47] <= a > b ? a : b;
          sum_q[SUMW*i+:SUMW] <= g_level[l-1].sum_q[2*SUMW*i+:SUMW] + g_level[l-1].sum_q[2*SUMW*i+SUMW+:SUMW];
        end
      end
    end
  end

  // Stage TREE + 1: statistics of the vector so far; on its last beat they go to the token's word.
  logic [46:0] amax_q;
  logic [76:0] ss_q;
  wire [46:0] beat_max = g_level[LV].max_q;
  wire [76:0] beat_sum = 77'(g_level[LV].sum_q);
  always_ff @(posedge clk) begin
    if (load_q[TREE]) begin
      amax_q <= first_q[TREE] || beat_max > amax_q ? beat_max : amax_q;
      ss_q   <= first_q[TREE] ? beat_sum : ss_q + beat_sum;
    end
  end
  assign stat_write = load_q[TREE+1] && last_q[TREE+1];

  // Codes: the token's absmax is fetched in stage 4 and stands in stage 6.
  logic [46:0] amax_read, amax6_q;
  ram_sdp #(
      .W(47),
      .DEPTH(TOKENS)
  ) u_amax (
      .clk,
      .we(stat_write),
      .waddr(TA'(tok_q[TREE+1])),
      .wdata(amax_q),
      .re(1'b1),
      .raddr(TA'(tok_q[4])),
      .rdata(amax_read)
  );
  always_ff @(posedge clk) amax6_q <= amax_read;

  logic code_valid, unused_fifo;
  logic [8*VEC-1:0] code;
  logic [TW+14:0] code_tag;
  logic [5:0] unused_count;
  rhe_div #(
      .W(47),
      .QMAX(127),
      .LANES(VEC),
      .TAG(TW + 15)
  ) u_div (
      .clk,
      .rst,
      .en(1'b1),
      .in_valid(quant_q[6]),
      .in_mag(mag_q),
      .in_neg(neg_q),
      .in_a(amax6_q),
      .in_tag({tok_q[6], index_q[6]}),
      .out_valid(code_valid),
      .out_q(code),
      .out_tag(code_tag)
  );
  fifo #(
      .W(8 * VEC + TW + 15),
      .DEPTH(ACTS)
  ) u_act (
      .clk,
      .rst,
      .in_valid(code_valid),
      .in_ready(unused_fifo),
      .in_data({code, code_tag}),
      .out_valid(act_valid),
      .out_ready(act_ready),
      .out_data({act_data, act_token, act_index}),
      .count(unused_count)
  );

  // Scales: one token after the other as soon as its statistics are written and the output register is free.
  logic scale_fetch, scale_fetched_q, scale_busy, s_valid_q, s_free;
  logic [0:0] s_dest_q;
  logic [TW-1:0] s_tok_q;
  logic [23:0] scale, s_scale_q;
  logic [123:0] stat_read;
  ram_sdp #(
      .W(124),
      .DEPTH(TOKENS)
  ) u_stat (
      .clk,
      .we(stat_write),
      .waddr(TA'(tok_q[TREE+1])),
      .wdata({amax_q, ss_q}),
      .re(scale_fetch),
      .raddr(TA'(scaled_q[TW-1:0])),
      .rdata(stat_read)
  );
  assign s_free = !s_valid_q || (s_dest_q[0] ? s1_ready : s0_ready);
  assign scale_fetch = run && scaled_q != stats_q && !scale_fetched_q && !scale_busy && s_free;
  norm_scale u_scale (
      .clk,
      .rst,
      .start(scale_fetched_q),
      .amax(stat_read[123:77]),
      .ss(stat_read[76:0]),
      .eps,
      .c,
      .busy(scale_busy),
      .done(scale_done),
      .scale,
      .sat_inc
  );
  logic sat_q;
  always_ff @(posedge clk) begin
    if (rst) begin
      scale_fetched_q <= 1'b0;
      s_valid_q <= 1'b0;
      sat_q <= 1'b0;
    end else begin
      scale_fetched_q <= scale_fetch;
      if (scale_done) s_valid_q <= 1'b1;
      else if (s_free) s_valid_q <= 1'b0;
      if (sat_inc) sat_q <= 1'b1;
    end
    if (scale_done) begin
      s_dest_q  <= dest;
      s_tok_q   <= scaled_q[TW-1:0];
      s_scale_q <= scale;
    end
  end

  assign s0_valid = s_valid_q && !s_dest_q[0];
  assign s1_valid = s_valid_q && s_dest_q[0];
  assign s0_token = s_tok_q;
  assign s1_token = s_tok_q;
  assign s0_scale = s_scale_q;
  assign s1_scale = s_scale_q;
  assign sat      = sat_q;
endmodule
