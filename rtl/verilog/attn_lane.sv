// attn_lane: one multiplier of attn, used for q*k in the K phase and for w*v in the V phase, and the step of its accumulator.
// Stage 1: operands come in. Stage 3: the product is there; prod3 for the dot product (K), next3 for the accumulator (V):
//   next3 = (zero ? 0 : shr(acc3, s)) + w*v, with s = 12*coarse3 + 3*mid3 + fine3 below 48 and fine3 = 3 for zero.
// q stands in the upper 8 bits of the wide operand, so that the other 18 are w's alone, and registers of the whole head (w2).
module attn_lane #(
    parameter int KVB = 8,  // bits of a code
    parameter int ACC = 46  // bits of an accumulator, 35..47: a shift by 47 leaves nothing
) (
    input  logic           clk,
    input  logic           k1,       // K word: the code is multiplied by q1, else by w
    input  logic [    7:0] q1,
    input  logic [    6:0] w1,       // the upper bits of w
    input  logic [   17:0] w2,       // its lower bits one stage later, zero for a K word
    input  logic [KVB-1:0] code1,
    output logic [KVB+7:0] prod3,
    input  logic [    1:0] coarse3,
    input  logic [    1:0] mid3,
    input  logic [    1:0] fine3,
    input  logic [ACC-1:0] acc3,
    output logic [ACC-1:0] next3
);
  logic [7:0] a2_q;
  logic signed [KVB-1:0] b2_q;
  logic signed [KVB+25:0] prod3_q;

  always_ff @(posedge clk) begin
    a2_q    <= k1 ? q1 : {1'b0, w1};
    b2_q    <= code1;
    prod3_q <= (KVB + 26)'($signed({a2_q, w2})) * (KVB + 26)'(b2_q);
  end
  assign prod3 = prod3_q[KVB+25:18];

  // Three levels of four, four and three choices, which are what a six-input LUT holds; the last one shares its LUT with the adder.
  // One fraction bit below, for the rounding: shr(x, s) = (2x >> s + 1) >> 1.
  logic signed [ACC:0] shift0, shift12, shift24, shift36, coarse, by3, by6, by9, mid, mid1, mid2;
  logic [ACC:0] old3, sum3;

  assign shift0   = {acc3, 1'b0};
  assign shift12  = shift0 >>> 12;
  assign shift24  = shift0 >>> 24;
  assign shift36  = shift0 >>> 36;
  assign coarse   = coarse3[1] ? (coarse3[0] ? shift36 : shift24) : (coarse3[0] ? shift12 : shift0);
  assign by3      = coarse >>> 3;
  assign by6      = coarse >>> 6;
  assign by9      = coarse >>> 9;
  assign mid      = mid3[1] ? (mid3[0] ? by9 : by6) : (mid3[0] ? by3 : coarse);
  assign mid1     = mid >>> 1;
  assign mid2     = mid >>> 2;
  assign old3     = fine3[1] ? (fine3[0] ? '0 : mid2) : (fine3[0] ? mid1 : mid);

  // x - ~y = x + y + 1: so the fraction bit rounds, and yosys takes the product, not the shifter, as the carry chain's direct input.
  assign sum3     = {{(ACC - KVB - 26) {prod3_q[KVB+25]}}, prod3_q, 1'b0} - ~old3;
  assign next3    = sum3[ACC:1];

  logic unused;
  assign unused = sum3[0];
endmodule
