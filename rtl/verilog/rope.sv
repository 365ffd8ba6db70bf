// rope: rotates the pairs of the K and Q heads of a pass, scales V heads by 2^15 alike (docs/numerics.md section 4).
// In: cmd {position of token 0, tokens}; the sums of the QKV rows: for each head (HK of K, HK of V, H of Q) and pair of rows
// (j, j + HD/2) the tokens' sums of row j, then those of row j + HD/2. Out: pair {r_j, r_j+HD/2} a token, in that order.
// A pair leaves LATENCY = 8 cycles after the sum of its second row was taken; one sum a cycle. A stalled output holds the pipeline.
// The next command starts in the cycle after the last sum of the one before.
module rope #(
    parameter int HD       = 64,
    parameter int H        = 4,
    parameter int HK       = 2,
    parameter int BATCH    = 4,
    parameter     SINE_HEX = "sine.hex",       // 4096 words of 16 bits: a quarter wave
    parameter     STEP_HEX = "rope_step.hex",  // HD/2 words of 32 bits: turns of one position, times 2^32
    parameter int TW       = (BATCH > 1) ? $clog2(BATCH) : 1  // derived, not to be set
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          cmd_valid,
    output logic          cmd_ready,
    input  logic [  13:0] cmd_pos,
    input  logic [  TW:0] cmd_n,
    input  logic          sum_valid,
    output logic          sum_ready,
    input  logic [TW-1:0] sum_token,
    input  logic [  21:0] sum_data,
    output logic          pair_valid,
    input  logic          pair_ready,
    output logic [TW-1:0] pair_token,
    output logic [  37:0] pair_r0,
    output logic [  37:0] pair_r1
);
  localparam int PAIRS = HD / 2;
  localparam int JW = $clog2(PAIRS);
  localparam int HEADS = H + 2 * HK;
  localparam int HW = $clog2(HEADS);

  logic [15:0] sine[0:4095];
  logic [31:0] steps[0:PAIRS-1];
  initial $readmemh(SINE_HEX, sine);
  initial $readmemh(STEP_HEX, steps);

  logic c_valid, c_take, s_valid, s_take;
  logic [  13:0] c_pos;
  logic [  TW:0] c_n;
  logic [TW-1:0] s_token;
  logic [  21:0] s_data;
  skid #(
      .W(15 + TW)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid (cmd_valid),
      .in_ready (cmd_ready),
      .in_data  ({cmd_pos, cmd_n}),
      .out_valid(c_valid),
      .out_ready(c_take),
      .out_data ({c_pos, c_n})
  );
  skid #(
      .W(22 + TW)
  ) u_sum (
      .clk,
      .rst,
      .in_valid (sum_valid),
      .in_ready (sum_ready),
      .in_data  ({sum_token, sum_data}),
      .out_valid(s_valid),
      .out_ready(s_take),
      .out_data ({s_token, s_data})
  );

  // Where the pass is: sum t of row (second, pair) of head.
  logic active_q, second_q;
  logic [13:0] pos_q;
  logic [TW:0] n_q, t_q;
  logic [JW-1:0] pair_q;
  logic [HW-1:0] head_q;
  logic en, last_t, last_pair, last;
  assign last_t    = t_q + (TW + 1)'(1) == n_q;
  assign last_pair = last_t && second_q && pair_q == JW'(PAIRS - 1);
  assign last      = last_pair && head_q == HW'(HEADS - 1);
  assign s_take    = active_q && en;
  assign c_take    = !active_q || (s_take && s_valid && last);

  always_ff @(posedge clk) begin
    if (rst) begin
      active_q <= 1'b0;
    end else if (c_take) begin
      active_q <= c_valid;
    end
    if (c_take) begin
      pos_q    <= c_pos;
      n_q      <= c_n;
      t_q      <= '0;
      second_q <= 1'b0;
      pair_q   <= '0;
      head_q   <= '0;
    end else if (s_take && s_valid) begin
      t_q <= last_t ? '0 : t_q + (TW + 1)'(1);
      if (last_t) second_q <= !second_q;
      if (last_t && second_q) pair_q <= last_pair ? '0 : pair_q + JW'(1);
      if (last_pair) head_q <= head_q + HW'(1);
    end
  end

  // Sums of the pair's first row.
  logic [21:0] first[0:(1<<TW)-1];
  always_ff @(posedge clk) if (s_take && s_valid && !second_q) first[s_token] <= s_data;

  // The pipeline; stage i's registers end in i.
  logic [7:1] valid_q;
  logic [TW-1:0] token1_q, token2_q, token3_q, token4_q, token5_q, token6_q, token7_q;
  logic [21:0] a1_q, a2_q, a3_q, a4_q, a5_q, b1_q, b2_q, b3_q, b4_q, b5_q;
  logic turn1_q, turn2_q, turn3_q, turn4_q;
  logic [13:0] pos1_q;
  logic [31:0] step1_q;
  logic [29:0] low2_q;
  logic [15:0] high2_q;
  logic [13:0] phase3_q;  // its bits 31..18: quadrant, index
  logic [1:0] quadrant4_q;
  logic [15:0] s4_q, c4_q;
  logic [16:0] sin_d, cos_d, sin5_q, cos5_q;
  logic [38:0] ac6_q, bs6_q, bc6_q, as6_q;
  logic [37:0] r0_7_q, r1_7_q;

  assign en = !valid_q[7] || pair_ready;

  // pos · step mod 2^32 from two 16-bit halves of the step.
  logic [29:0] low_d, high_d;
  logic [15:0] phase_high;
  assign low_d      = {16'b0, pos1_q} * {14'b0, step1_q[15:0]};
  assign high_d     = {16'b0, pos1_q} * {14'b0, step1_q[31:16]};
  assign phase_high = {2'b0, low2_q[29:16]} + high2_q;
  wire unused_high = &{1'b0, high_d[29:16], low2_q[15:0], phase_high[1:0], 1'b0};

  // V heads: sin 0, cos 1.
  logic [16:0] s4, c4;
  assign s4 = {1'b0, s4_q};
  assign c4 = {1'b0, c4_q};
  always_comb begin
    case (quadrant4_q)
      2'd0: begin
        sin_d = s4;
        cos_d = c4;
      end
      2'd1: begin
        sin_d = c4;
        cos_d = -s4;
      end
      2'd2: begin
        sin_d = -s4;
        cos_d = -c4;
      end
      default: begin
        sin_d = -c4;
        cos_d = s4;
      end
    endcase
    if (!turn4_q) begin
      sin_d = '0;
      cos_d = 17'd32768;
    end
  end

  logic [38:0] r0_d, r1_d;
  assign r0_d = ac6_q - bs6_q;
  assign r1_d = bc6_q + as6_q;
  wire unused_top = &{1'b0, r0_d[38], r1_d[38], 1'b0};

  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else if (en) valid_q <= {valid_q[6:1], s_take && s_valid && second_q};
    if (en) begin
      token1_q <= s_token;
      a1_q <= first[s_token];
      b1_q <= s_data;
      turn1_q <= head_q < HW'(HK) || head_q >= HW'(2 * HK);
      pos1_q <= pos_q + 14'(s_token);
      step1_q <= steps[pair_q];

      token2_q <= token1_q;
      a2_q <= a1_q;
      b2_q <= b1_q;
      turn2_q <= turn1_q;
      low2_q <= low_d;
      high2_q <= high_d[15:0];

      token3_q <= token2_q;
      a3_q <= a2_q;
      b3_q <= b2_q;
      turn3_q <= turn2_q;
      phase3_q <= phase_high[15:2];

      token4_q <= token3_q;
      a4_q <= a3_q;
      b4_q <= b3_q;
      turn4_q <= turn3_q;
      quadrant4_q <= phase3_q[13:12];
      s4_q <= sine[phase3_q[11:0]];
      c4_q <= sine[~phase3_q[11:0]];

      token5_q <= token4_q;
      a5_q <= a4_q;
      b5_q <= b4_q;
      sin5_q <= sin_d;
      cos5_q <= cos_d;

      token6_q <= token5_q;
      ac6_q <= 39'($signed(a5_q)) * 39'($signed(cos5_q));
      bs6_q <= 39'($signed(b5_q)) * 39'($signed(sin5_q));
      bc6_q <= 39'($signed(b5_q)) * 39'($signed(cos5_q));
      as6_q <= 39'($signed(a5_q)) * 39'($signed(sin5_q));

      token7_q <= token6_q;
      r0_7_q <= r0_d[37:0];
      r1_7_q <= r1_d[37:0];
    end
  end

  assign pair_valid = valid_q[7];
  assign pair_token = token7_q;
  assign pair_r0    = r0_7_q;
  assign pair_r1    = r1_7_q;
endmodule
