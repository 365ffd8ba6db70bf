// softmax_lane: one query head of softmax (docs/numerics.md section 5), a position a cycle, no handshake: stage n holds what
// came n cycles ago; vN, firstN say whether stage N holds a position and whether it is the first of its head.
// In, stage 0: dot product, scales of q and k; stage 8: ROM entry; stage 9: mantissa of V's scale; 10: exponent distances.
// Out: f at stage 7 for the ROM, sat at stage 5 (z saturated), s at stage 10 (sum of p including this position), w and sh at stage 11.
// Loop-carried: the running maximum (stage 7) and the sum (stage 10), one cycle each.
module softmax_lane #(
    parameter int ROM_BITS = 15  // bits of a ROM entry, 4 to 23
) (
    input  logic                clk,
    input  logic                v6,
    input  logic                v9,
    input  logic                first6,
    input  logic                first9,
    input  logic [        21:0] dot,
    input  logic [        23:0] sq,
    input  logic [        23:0] sk,
    output logic [        11:0] f7,        // fraction of the exponent: addresses the ROM
    input  logic [ROM_BITS-1:0] rom8,      // its entry, one cycle later
    input  logic [        15:0] mv9,
    input  logic [         4:0] wshift10,  // E' - e_v, at most 31
    input  logic [         5:0] dexp10,    // E' - E, at most 63
    output logic                sat5,
    output logic [        39:0] s10,
    output logic [        24:0] w11,
    output logic [         5:0] sh11
);
  // ---- z = sat_24(shr(dot * m_k * m_q, -(e_k + e_q + 12)))
  // 1: dot * m_k. 2: times m_q in two halves (one 27x18 multiplier each). 3: the product.
  logic signed [37:0] dk1_q;
  logic [15:0] mq1_q;
  logic signed [9:0] shift1_q, shift2_q;  // -(e_k + e_q + 12): -266 to 244
  logic signed [34:0] high2_q;
  logic [34:0] low2_q;
  logic signed [53:0] prod3_q;
  logic right3_q;  // a right shift of amount3 + 1; else a left shift of amount3
  logic [5:0] amount3_q;

  always_ff @(posedge clk) begin
    dk1_q    <= $signed({{16{dot[21]}}, dot}) * $signed({22'd0, sk[15:0]});
    mq1_q    <= sq[15:0];
    shift1_q <= -($signed({{2{sk[23]}}, sk[23:16]}) + $signed({{2{sq[23]}}, sq[23:16]}) + 10'sd12);
    high2_q  <= $signed({{16{dk1_q[37]}}, dk1_q[37:19]}) * $signed({19'd0, mq1_q});
    low2_q   <= {16'd0, dk1_q[18:0]} * {19'd0, mq1_q};
    shift2_q <= shift1_q;
    prod3_q  <= $signed({high2_q, 19'd0}) + $signed({19'd0, low2_q});
    right3_q <= shift2_q > 10'sd0;
    // Right: beyond 63 all is rounded away. Left: beyond 24 all but 0 saturates.
    if (shift2_q > 10'sd0) amount3_q <= shift2_q > 10'sd63 ? 6'd62 : 6'(shift2_q - 10'sd1);
    else amount3_q <= shift2_q < -10'sd24 ? 6'd24 : 6'(-shift2_q);
  end

  // 4: shifts. 5: round (shr(x, s) = ((x >> (s - 1)) + 1) >> 1) and saturate.
  logic signed [53:0] right4_q, round4;
  logic signed [47:0] left4_q;
  logic is_right4_q, fits4_q, neg4_q;
  logic right_fits4, left_fits4;
  logic [23:0] z5_q;
  logic sat5_q;

  assign round4 = (right4_q + 54'sd1) >>> 1;
  assign right_fits4 = round4[53:23] == {31{round4[53]}};
  assign left_fits4 = fits4_q && left4_q[47:23] == {25{left4_q[47]}};

  always_ff @(posedge clk) begin
    right4_q    <= prod3_q >>> amount3_q;
    left4_q     <= $signed({{24{prod3_q[23]}}, prod3_q[23:0]}) << amount3_q;
    is_right4_q <= right3_q;
    fits4_q     <= prod3_q[53:23] == {31{prod3_q[53]}};
    neg4_q      <= prod3_q[53];
    sat5_q      <= is_right4_q ? !right_fits4 : !left_fits4;
    if (is_right4_q ? right_fits4 : left_fits4) z5_q <= is_right4_q ? round4[23:0] : left4_q[23:0];
    else z5_q <= {neg4_q, {23{!neg4_q}}};
  end
  assign sat5 = sat5_q;

  // ---- running maximum M, t = z - 4096 M' = 4096 I + f with I <= 0
  logic [23:0] z6_q, z7_q;
  logic signed [12:0] mz6_q, max7_q, max7_d;
  logic [12:0] dmax7_q;
  logic signed [13:0] down7;  // -I, 0 to 4096
  logic [4:0] down8_q;
  logic [5:0] dmax8_q, dmax9_q, dmax10_q;

  assign max7_d = (first6 || mz6_q > max7_q) ? mz6_q : max7_q;
  assign down7  = $signed({max7_q[12], max7_q}) - $signed({{2{z7_q[23]}}, z7_q[23:12]});

  always_ff @(posedge clk) begin
    z6_q  <= z5_q;
    mz6_q <= $signed({z5_q[23], z5_q[23:12]}) + $signed({12'd0, z5_q[11:0] != 12'd0});  // ceil(z / 4096)
    z7_q  <= z6_q;
    if (v6) begin
      max7_q  <= max7_d;
      dmax7_q <= first6 ? 13'd0 : 13'(max7_d - max7_q);
    end
    down8_q  <= down7 > 14'sd31 ? 5'd31 : 5'(down7);
    dmax8_q  <= dmax7_q > 13'd63 ? 6'd63 : 6'(dmax7_q);
    dmax9_q  <= dmax8_q;
    dmax10_q <= dmax9_q;
  end

  // ---- p = shr(2^24 (1 + rom/2^b), -I): the ROM at stage 8, p at stage 9
  logic [25:0] half8;  // p with one more fraction bit, before rounding
  logic [24:0] p9_q;

  assign f7 = z7_q[11:0];
  assign half8 = {1'b1, rom8, {(25 - ROM_BITS) {1'b0}}} >> down8_q;

  always_ff @(posedge clk) begin
    p9_q <= half8[25:1] + 25'(half8[0]);  // no carry out: half8[0] is 0 when -I is 0
  end

  // ---- S = shr(S, dM) + p, and w = shr(p * m_v, 16 + E' - e_v)
  logic [39:0] sum10_q;
  logic [40:0] half9;
  logic [40:0] pm10_q;
  logic [25:0] half10;
  logic [ 6:0] sh10;

  assign half9  = {sum10_q, 1'b0} >> dmax9_q;
  assign half10 = pm10_q[40:15] >> wshift10;
  assign sh10   = {1'b0, dmax10_q} + {1'b0, dexp10};

  always_ff @(posedge clk) begin
    if (v9) sum10_q <= first9 ? {15'd0, p9_q} : half9[40:1] + 40'(half9[0]) + {15'd0, p9_q};
    pm10_q <= {16'd0, p9_q} * {25'd0, mv9};
    w11    <= half10[25:1] + 25'(half10[0]);  // p * m_v is at most 2^41 - 2^25: no carry out
    sh11   <= sh10[6] ? 6'd63 : sh10[5:0];
  end
  assign s10 = sum10_q;

  logic unused;
  assign unused = ^pm10_q[14:0];
endmodule
