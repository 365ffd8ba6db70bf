// norm_product: magnitude and sign of u = x * gain for VEC elements, docs/numerics.md section 2.
// In: x (signed 32 bits each), g (signed 17 bits each, above -65536). Out: |u| (47 bits each) and u < 0, 4 cycles later, one word a
// cycle. Three registers behind the multiplier are for its own pipeline.
module norm_product #(
    parameter int VEC = 4
) (
    input  logic              clk,
    input  logic [32*VEC-1:0] x,
    input  logic [17*VEC-1:0] g,
    output logic [47*VEC-1:0] mag,
    output logic [   VEC-1:0] neg
);
  for (genvar i = 0; i < VEC; i++) begin : g_lane
    logic [47:0] u1_q, u2_q, u3_q, u_abs;
    logic [46:0] mag_q;
    logic neg_q;
    wire signed [31:0] xi = x[32*i+:32];
    wire signed [16:0] gi = g[17*i+:17];
    assign u_abs = u3_q[47] ? -u3_q : u3_q;
    wire unused_top = &{1'b0, u_abs[47], 1'b0};
    always_ff @(posedge clk) begin
      u1_q  <= 48'(xi) * 48'(gi);
      u2_q  <= u1_q;
      u3_q  <= u2_q;
      mag_q <= u_abs[46:0];
      neg_q <= u3_q[47];
    end
    assign mag[47*i+:47] = mag_q;
    assign neg[i] = neg_q;
  end
endmodule
