// norm: RMSNorm and absmax int8 of docs/numerics.md section 2, for the tokens of a pass, VEC elements a cycle.
// A command takes groups * VEC gains, then n vectors from x0 or x1 (gains and the first vector run side by side, the vector one
// cycle behind), and sends n * groups beats of codes, token by token, and to s0 or s1 one scale a token. Codes and scale of a token
// start when its statistics are known, beside the vectors that follow. One beat a cycle everywhere. Timing: docs/blocks/norm.md.
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
  localparam int ACTS = 32;  // beats of codes in flight: more than the 19 cycles of the round trip

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
  logic [17*VEC-1:0] gain_in;
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

  // Codes: one group a cycle, once the token's statistics are there and a place in the output FIFO is kept.
  logic quant, quant_done, quant_last, act_take;
  logic [TW:0] stats_q, quant_tok_q, scaled_q;
  logic [14:0] quant_g_q;
  logic [XA-1:0] quant_a_q;
  logic [5:0] held_q;
  assign quant_done = quant_tok_q == n;
  assign quant_last = quant_g_q == groups - 15'd1;
  assign quant = run && !quant_done && stats_q != quant_tok_q && held_q != 6'(ACTS);
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

  // Control beside the data: bit or word i belongs to stage i, the beat that was issued i cycles ago.
  logic [2:1] load_q, first_q, last_q;
  logic [6:1] quant_q;
  logic [TW-1:0] load_tok_s[1:2];
  logic [TW-1:0] code_tok_s[1:6];
  logic [14:0] index_s[1:6];
  always_ff @(posedge clk) begin
    if (rst) begin
      load_q  <= '0;
      quant_q <= '0;
    end else begin
      load_q  <= {load_q[1], load};
      quant_q <= {quant_q[5:1], quant};
    end
    first_q <= {first_q[1], load_g_q == 15'd0};
    last_q <= {last_q[1], load_last};
    load_tok_s[1] <= load_tok_q[TW-1:0];
    code_tok_s[1] <= quant_tok_q[TW-1:0];
    index_s[1] <= quant_g_q;
  end
  always_ff @(posedge clk) load_tok_s[2] <= load_tok_s[1];
  for (genvar i = 2; i <= 6; i++) begin : g_code_tag
    always_ff @(posedge clk) begin
      code_tok_s[i] <= code_tok_s[i-1];
      index_s[i] <= index_s[i-1];
    end
  end

  // Stages 1, 2: x and its gains; the gains are kept twice, for vectors and for codes.
  wire [32*VEC-1:0] load_word = src[0] ? x1_word : x0_word;
  logic [32*VEC-1:0] x1_q, x2_q, code_x, code_x2_q;
  logic [17*VEC-1:0] load_g, load_g2_q, code_g, code_g2_q;
  ram_sdp #(
      .W(17 * VEC),
      .DEPTH(KG)
  ) u_gains_load (
      .clk,
      .we(gain_take),
      .waddr(gains_q[KA-1:0]),
      .wdata(gain_in),
      .re(load),
      .raddr(load_g_q[KA-1:0]),
      .rdata(load_g)
  );
  ram_sdp #(
      .W(17 * VEC),
      .DEPTH(KG)
  ) u_gains_code (
      .clk,
      .we(gain_take),
      .waddr(gains_q[KA-1:0]),
      .wdata(gain_in),
      .re(quant),
      .raddr(quant_g_q[KA-1:0]),
      .rdata(code_g)
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
      .rdata(code_x)
  );
  always_ff @(posedge clk) begin
    x1_q <= load_word;
    x2_q <= x1_q;
    load_g2_q <= load_g;
    code_x2_q <= code_x;
    code_g2_q <= code_g;
  end

  // Vectors: statistics, kept a token.
  logic [TW-1:0] stat_tok;
  logic [46:0] stat_amax;
  logic [76:0] stat_ss;
  norm_stats #(
      .VEC(VEC),
      .TAG(TW)
  ) u_stats (
      .clk,
      .rst,
      .in_valid(load_q[2]),
      .in_first(first_q[2]),
      .in_last(last_q[2]),
      .in_tag(load_tok_s[2]),
      .x(x2_q),
      .g(load_g2_q),
      .out_valid(stat_write),
      .out_tag(stat_tok),
      .out_amax(stat_amax),
      .out_ss(stat_ss)
  );

  // Codes: products in stages 3..6; the token's absmax is fetched in stage 4 and stands in stage 6.
  logic [47*VEC-1:0] code_mag;
  logic [VEC-1:0] code_neg;
  norm_product #(
      .VEC(VEC)
  ) u_product (
      .clk,
      .x(code_x2_q),
      .g(code_g2_q),
      .mag(code_mag),
      .neg(code_neg)
  );
  logic [46:0] amax_read, amax6_q;
  ram_sdp #(
      .W(47),
      .DEPTH(TOKENS)
  ) u_amax (
      .clk,
      .we(stat_write),
      .waddr(TA'(stat_tok)),
      .wdata(stat_amax),
      .re(1'b1),
      .raddr(TA'(code_tok_s[4])),
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
      .in_mag(code_mag),
      .in_neg(code_neg),
      .in_a(amax6_q),
      .in_tag({code_tok_s[6], index_s[6]}),
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
  ) u_stat_mem (
      .clk,
      .we(stat_write),
      .waddr(TA'(stat_tok)),
      .wdata({stat_amax, stat_ss}),
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
