// scale_norm: the Scale of an integer, norm(v, e) of docs/numerics.md section 1.
// In: v (VW bits, unsigned), e (EW bits, signed). Out: {e[7:0], m[15:0]}, and sat when the exponent left its range.
// Latency 3 cycles with en high, one a cycle. en low holds everything.
module scale_norm #(
    parameter int VW = 48,  // 17 or more
    parameter int EW = 12   // so that e + VW does not overflow
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          en,
    input  logic          in_valid,
    input  logic [VW-1:0] in_v,
    input  logic [EW-1:0] in_e,
    output logic          out_valid,
    output logic [  23:0] out_scale,
    output logic          out_sat
);
  localparam int LW = $clog2(VW);  // bits of the count of leading zeros
  localparam int SPLIT = LW / 2;   // shifts of 2^SPLIT and more in the first stage, smaller ones in the second

  logic [2:0] valid_q;

  // Stage 1: leading zeros, large steps. A v of zero ends with its top bit clear.
  logic [VW-1:0] v1_d, v1_q;
  logic [LW-1:0] lz1_d, lz1_q;
  logic [EW-1:0] e1_q;
  always_comb begin
    v1_d  = in_v;
    lz1_d = '0;
    for (int b = LW - 1; b >= SPLIT; b--) begin
      if ((v1_d >> (VW - (1 << b))) == '0) begin
        v1_d  = v1_d << (1 << b);
        lz1_d = lz1_d | LW'(1 << b);
      end
    end
  end

  // Stage 2: small steps. Bit lengths above 16 divide by a power of two, shorter ones multiply: both are e + VW - lz - 16.
  // Below the 16 mantissa bits only the first bit matters (round half up).
  logic [VW-1:0] v2_d;
  logic [LW-1:0] lz2_d;
  logic [  16:0] v2_q;
  logic [EW-1:0] e2_q;
  always_comb begin
    v2_d  = v1_q;
    lz2_d = lz1_q;
    for (int b = SPLIT - 1; b >= 0; b--) begin
      if ((v2_d >> (VW - (1 << b))) == '0) begin
        v2_d  = v2_d << (1 << b);
        lz2_d = lz2_d | LW'(1 << b);
      end
    end
  end
  wire unused_tail = &{1'b0, v2_d, 1'b0};

  // Stage 3: round, then the range of the exponent. A mantissa that rounds up to 2^16 becomes 2^15.
  logic [  16:0] m;
  logic [EW-1:0] e;
  logic [  23:0] scale_d, scale_q;
  logic          above, below, sat_q;
  assign m = {1'b0, v2_q[16:1]} + {16'b0, v2_q[0]};
  assign e = e2_q + {{(EW - 1) {1'b0}}, m[16]};
  assign above = v2_q[16] && $signed(e) > $signed(EW'(127));
  assign below = v2_q[16] && $signed(e) < -$signed(EW'(128));
  assign scale_d = above ? {8'h7f, 16'hffff} : (below || !v2_q[16]) ? {8'h80, 16'h0000} : {e[7:0], m[16] | m[15], m[14:0]};

  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else if (en) valid_q <= {valid_q[1:0], in_valid};
    if (en) begin
      v1_q <= v1_d;
      lz1_q <= lz1_d;
      e1_q <= in_e;
      v2_q <= v2_d[VW-1-:17];
      e2_q <= e1_q + EW'(VW - 16) - EW'(lz2_d);
      scale_q <= scale_d;
      sat_q <= above || below;
    end
  end

  assign out_valid = valid_q[2];
  assign out_scale = scale_q;
  assign out_sat   = sat_q;
endmodule
