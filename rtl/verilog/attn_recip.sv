// attn_recip: reciprocals of the sums of a group's G heads, one after the other (docs/numerics.md section 5).
// sum: S of all heads and E, held until the last head is done. r: for each head R = floor(2^35 / S18) and the shift of acc * R,
// 19 + k - E, as right (1: right by amount + 1, 0: left by amount) and amount. A head takes CYCLES = 24 cycles whatever its value:
// load, length, normalise, round, 19 quotient bits, hand over; it starts only when there is room for its result (r_ready).
module attn_recip #(
    parameter int G = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            sum_valid,
    output logic            sum_take,
    input  logic [40*G-1:0] sum_s,
    input  logic [     7:0] sum_e,
    output logic            r_valid,
    input  logic            r_ready,
    output logic [    18:0] r,
    output logic            right,
    output logic [     6:0] amount
);
  localparam int GW = G < 2 ? 1 : $clog2(G);
  localparam logic [4:0] LOAD = 5'd0, LENGTH = 5'd1, NORMALISE = 5'd2, ROUND = 5'd3, DIVIDE = 5'd4, GIVE = 5'd23;

  logic [4:0] step_q;
  logic [GW-1:0] g_q;
  logic start, last_g;

  assign start    = sum_valid && r_ready;
  assign last_g   = g_q == GW'(G - 1);
  assign r_valid  = step_q == GIVE;
  assign sum_take = r_valid && last_g;

  always_ff @(posedge clk) begin
    if (rst) begin
      step_q <= LOAD;
      g_q    <= '0;
    end else begin
      if (step_q == LOAD) step_q <= start ? LENGTH : LOAD;
      else step_q <= step_q == GIVE ? LOAD : step_q + 5'd1;
      if (r_valid) g_q <= last_g ? '0 : g_q + GW'(1);
    end
  end

  logic [39:0] s_q;  // S, then shifted until its top bit is set
  logic [5:0] n_q, n_d;  // bitlen(S); one more after a carry
  logic [18:0] rounded;
  logic [17:0] s18_q;
  logic signed [8:0] shift_q;  // 19 + k - E = n + 1 - E: -126 to 170
  logic [18:0] rem_q, twice;
  logic [18:0] r_q;

  always_comb begin
    n_d = '0;
    for (int i = 0; i < 40; i++) if (s_q[i]) n_d = 6'(i + 1);
  end
  assign rounded = {1'b0, s_q[39:22]} + 19'(s_q[21]);
  assign twice   = {rem_q[17:0], 1'b0};

  always_ff @(posedge clk) begin
    if (step_q == LOAD) s_q <= sum_s[40*32'(g_q)+:40];
    if (step_q == LENGTH) n_q <= n_d;
    if (step_q == NORMALISE) s_q <= s_q << (6'd40 - n_q);
    if (step_q == ROUND) begin
      s18_q   <= rounded[18] ? 18'h20000 : rounded[17:0];
      shift_q <= $signed({3'd0, n_q}) + $signed({8'd0, rounded[18]}) + 9'sd1 - $signed({sum_e[7], sum_e});
      // The first 17 of the dividend's 36 bits give zeros: they leave 2^16.
      rem_q   <= 19'h10000;
    end
    if (step_q >= DIVIDE && step_q != GIVE) begin
      rem_q <= twice >= {1'b0, s18_q} ? twice - {1'b0, s18_q} : twice;
      r_q   <= {r_q[17:0], twice >= {1'b0, s18_q}};
    end
  end

  assign r      = r_q;
  assign right  = shift_q > 9'sd0;
  // Right: beyond 70 all is rounded away. Left: beyond 32 all but 0 saturates.
  assign amount = right ? (shift_q > 9'sd70 ? 7'd69 : 7'(shift_q - 9'sd1)) : shift_q < -9'sd32 ? 7'd32 : 7'(-shift_q);

  logic unused;
  assign unused = rem_q[18];
endmodule
