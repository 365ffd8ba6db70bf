// scale_mul: the product of two Scales, mul(a, b) = norm(a.m * b.m, a.e + b.e) of docs/numerics.md section 1.
// In: a, b as {e[7:0], m[15:0]}; any bits are taken, also mantissas without their top bit. Out: the product, normalised, and sat.
// Latency 4 cycles with en high (1 product, 3 scale_norm), one a cycle. en low holds everything.
module scale_mul #(
    parameter int EW = 12  // bits of the sum of two exponents, 9 or more as scale_norm asks
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        en,
    input  logic        in_valid,
    input  logic [23:0] in_a,
    input  logic [23:0] in_b,
    output logic        out_valid,
    output logic [23:0] out_scale,
    output logic        out_sat
);
  logic          valid_q;
  logic [  31:0] m_q;
  logic [EW-1:0] e_q;

  always_ff @(posedge clk) begin
    if (rst) valid_q <= 1'b0;
    else if (en) valid_q <= in_valid;
    if (en) begin
      m_q <= {16'b0, in_a[15:0]} * {16'b0, in_b[15:0]};
      e_q <= EW'($signed(in_a[23:16])) + EW'($signed(in_b[23:16]));
    end
  end

  scale_norm #(
      .VW(32),
      .EW(EW)
  ) u_norm (
      .clk,
      .rst,
      .en,
      .in_valid(valid_q),
      .in_v(m_q),
      .in_e(e_q),
      .out_valid,
      .out_scale,
      .out_sat
  );
endmodule
