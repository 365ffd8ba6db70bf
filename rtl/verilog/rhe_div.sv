// rhe_div: signed codes of a vector, sign * rhe(QMAX * mag, a) of docs/numerics.md section 2, exact, LANES at a time.
// In: magnitudes mag <= a (W bits each), signs, the absmax a (one for all lanes), and a tag that travels along.
// Out: codes in QW = clog2(QMAX + 1) + 1 bits two's complement, |code| <= QMAX; a = 0 gives 0.
// Latency clog2(QMAX + 1) + 3 cycles with en high (127: 10, 31: 8, 7: 6), one a cycle. en low holds everything.
module rhe_div #(
    parameter int W     = 47,
    parameter int QMAX  = 127,  // 2^n - 1
    parameter int LANES = 1,
    parameter int TAG   = 1,
    parameter int QW    = $clog2(QMAX + 1) + 1  // derived, not to be set
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                en,
    input  logic                in_valid,
    input  logic [ LANES*W-1:0] in_mag,
    input  logic [   LANES-1:0] in_neg,
    input  logic [       W-1:0] in_a,
    input  logic [     TAG-1:0] in_tag,
    output logic                out_valid,
    output logic [LANES*QW-1:0] out_q,
    output logic [     TAG-1:0] out_tag
);
  localparam int N = QW - 1;    // quotient bits, one restoring step each
  localparam int STAGES = N + 3;  // numerator, N steps, compare, round

  // The tag, the divisor and the signs go beside the lanes: stage i holds the element that came i + 1 enabled cycles ago.
  logic [STAGES-1:0] valid_q;
  logic [   TAG-1:0] tag_q   [STAGES];
  logic [     W-1:0] a_q     [  N+1];
  logic [ LANES-1:0] neg_q   [  N+2];

  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else if (en) valid_q <= {valid_q[STAGES-2:0], in_valid};
    if (en) begin
      tag_q[0] <= in_tag;
      // A divisor of 0 comes with magnitudes of 0 only: any other divisor gives the code 0.
      a_q[0]   <= (in_a == '0) ? W'(1) : in_a;
      neg_q[0] <= in_neg;
    end
  end
  for (genvar i = 1; i < STAGES; i++) begin : g_tag
    always_ff @(posedge clk) if (en) tag_q[i] <= tag_q[i-1];
  end
  for (genvar i = 1; i < N + 1; i++) begin : g_a
    always_ff @(posedge clk) if (en) a_q[i] <= a_q[i-1];
  end
  for (genvar i = 1; i < N + 2; i++) begin : g_neg
    always_ff @(posedge clk) if (en) neg_q[i] <= neg_q[i-1];
  end

  for (genvar l = 0; l < LANES; l++) begin : g_lane
    // Stage 0: numerator QMAX * mag = (mag << N) - mag. Its part above the low N bits is below a, so N steps are enough.
    logic [W+N-1:0] num_q;
    always_ff @(posedge clk) begin
      if (en) num_q <= {in_mag[l*W+:W], {N{1'b0}}} - {{N{1'b0}}, in_mag[l*W+:W]};
    end

    // Stage 1..N: rem = 2 rem + next numerator bit; subtract a where it fits. rest holds numerator bits to come above
    // quotient bits found.
    for (genvar i = 0; i < N; i++) begin : g_step
      logic [W-1:0] rem_in, rem_q;
      logic [N-1:0] rest_in, rest_q;
      logic [W:0] shifted, diff;
      if (i == 0) begin : g_first
        assign rem_in  = num_q[W+N-1:N];
        assign rest_in = num_q[N-1:0];
      end else begin : g_next
        assign rem_in  = g_step[i-1].rem_q;
        assign rest_in = g_step[i-1].rest_q;
      end
      // rem < a, so the difference and, when a does not fit, shifted itself are below a: W bits hold them.
      logic borrow;
      assign shifted = {rem_in, rest_in[N-1]};
      assign {borrow, diff} = {1'b0, shifted} - {2'b00, a_q[i]};
      wire unused_top = &{1'b0, diff[W], shifted[W], 1'b0};
      always_ff @(posedge clk) begin
        if (en) begin
          rem_q  <= borrow ? shifted[W-1:0] : diff[W-1:0];
          rest_q <= {rest_in[N-2:0], !borrow};
        end
      end
    end

    // Stage N + 1: is what remains above a half, or exactly a half beside an odd quotient?
    logic [W:0] twice;
    logic up_q;
    logic [N-1:0] floor_q;
    assign twice = {g_step[N-1].rem_q, 1'b0};
    always_ff @(posedge clk) begin
      if (en) begin
        up_q <= (twice > {1'b0, a_q[N]}) || (twice == {1'b0, a_q[N]} && g_step[N-1].rest_q[0]);
        floor_q <= g_step[N-1].rest_q;
      end
    end

    // Stage N + 2: round and put the sign back. The quotient QMAX has no remainder, so it never grows.
    logic [QW-1:0] mag, code_q;
    assign mag = {1'b0, floor_q} + {{(QW - 1) {1'b0}}, up_q};
    always_ff @(posedge clk) begin
      if (en) code_q <= neg_q[N+1][l] ? -mag : mag;
    end
    assign out_q[l*QW+:QW] = code_q;
  end

  assign out_valid = valid_q[STAGES-1];
  assign out_tag   = tag_q[STAGES-1];
endmodule
