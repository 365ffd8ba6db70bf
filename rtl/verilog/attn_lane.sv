// attn_lane: one multiplier of attn with its accumulators, used for q*k in the K phase and for w*v in the V phase.
// Stage 1: operands come in. Stage 3: the product is there; prod3 for the dot product, or added to accumulator waddr3:
//   acc = (zero3 ? 0 : shr(acc, sh3)) + w*v, with shr(x, s) = (2x >> s + 1) >> 1, signed 48.
// The accumulator is read at stage 2 (re2, raddr2) when there are several; acc3 is what was read, or the only one itself.
// NW >= 2: the same accumulator comes at most every second cycle, so the read of stage 2 never misses a write.
module attn_lane #(
    parameter int KVB = 8,  // bits of a code
    parameter int NW = 1,  // accumulators, at most 64
    parameter int AW = 1  // bits of their index
) (
    input  logic                  clk,
    input  logic                  k1,      // K word: the code is multiplied by q1, else by w1
    input  logic        [    7:0] q1,
    input  logic        [   24:0] w1,
    input  logic        [KVB-1:0] code1,
    output logic        [   15:0] prod3,
    input  logic                  re2,
    input  logic        [ AW-1:0] raddr2,
    input  logic                  we3,
    input  logic                  zero3,
    input  logic        [    5:0] sh3,
    input  logic        [ AW-1:0] waddr3,
    output logic signed [   47:0] acc3
);
  logic signed [25:0] a2_q;
  logic signed [ 7:0] b2_q;
  logic signed [33:0] prod3_q;
  logic signed [48:0] half3;  // shr before rounding, one fraction bit
  logic signed [47:0] old3, next3;

  always_ff @(posedge clk) begin
    a2_q    <= k1 ? {{18{q1[7]}}, q1} : {1'b0, w1};
    b2_q    <= 8'($signed(code1));
    prod3_q <= 34'(a2_q) * 34'(b2_q);
  end
  assign prod3 = prod3_q[15:0];

  assign half3 = $signed({acc3, 1'b0}) >>> sh3;
  assign old3  = zero3 ? 48'sd0 : $signed(half3[48:1]);
  assign next3 = old3 + 48'(prod3_q) + $signed({47'd0, half3[0] && !zero3});  // one adder with carry in

  if (NW == 1) begin : g_one
    logic signed [47:0] acc_q;
    logic unused;
    always_ff @(posedge clk) if (we3) acc_q <= next3;
    assign acc3   = acc_q;
    assign unused = ^{re2, raddr2, waddr3};
  end else begin : g_ram
    (* ram_style = "distributed" *)
    logic [47:0] mem[0:NW-1];
    logic signed [47:0] read_q;
    always_ff @(posedge clk) begin
      if (we3) mem[waddr3] <= next3;
      if (re2) read_q <= mem[raddr2];
    end
    assign acc3 = read_q;
  end
endmodule
