// norm_scale: the Scale of an RMSNorm's codes from max |u| and the sum of squares, docs/numerics.md section 2.
// start high for one cycle while !busy takes amax and ss; eps and c must stand until done. done is high for one cycle,
// 48 cycles after start, with scale; busy from the cycle after start to done. sat_inc: an exponent left its range.
// Cycles: T = ss + eps 1, aligned to 33 or 34 bits 2, root 17, d = 2^34 / root 19, a.m * d 2, norm 3, times c 4.
module norm_scale (
    input  logic        clk,
    input  logic        rst,
    input  logic        start,
    input  logic [46:0] amax,
    input  logic [76:0] ss,
    input  logic [63:0] eps,
    input  logic [23:0] c,
    output logic        busy,
    output logic        done,
    output logic [23:0] scale,
    output logic        sat_inc
);
  localparam logic [5:0] ALIGN_1 = 6'd1, ALIGN_2 = 6'd2, ROOT_LAST = 6'd19, DIV_LAST = 6'd38, PRODUCT_IN = 6'd41;

  // step_q counts the cycles since start; 0 is idle.
  logic [5:0] step_q;
  assign busy = step_q != 6'd0;
  always_ff @(posedge clk) begin
    if (rst || done) step_q <= 6'd0;
    else if (busy || start) step_q <= step_q + 6'd1;
  end

  // T, then its leading zero pairs in two stages: k = 22 - pairs. T = 0 cannot follow from eps >= 1 and counts as 1.
  logic [77:0] t_q, t1_d, t1_q, t2_d;
  logic [5:0] lz1_d, lz1_q, lz2_d, k_q;
  always_comb begin
    t1_d  = t_q;
    lz1_d = '0;
    for (int b = 5; b >= 3; b--) begin
      if ((t1_d >> (78 - (2 << b))) == '0) begin
        t1_d  = t1_d << (2 << b);
        lz1_d = lz1_d | 6'(1 << b);
      end
    end
    t2_d  = t1_q;
    lz2_d = lz1_q;
    for (int b = 2; b >= 0; b--) begin
      if ((t2_d >> (78 - (2 << b))) == '0) begin
        t2_d  = t2_d << (2 << b);
        lz2_d = lz2_d | 6'(1 << b);
      end
    end
  end
  wire t_is_0 = t2_d[77:76] == 2'b00;
  wire unused_tail = &{1'b0, t2_d[43:0], 1'b0};

  // Root, a bit a step: rem = 4 rem + next pair; subtract 4 root + 1 where it fits.
  logic [33:0] pairs_q;
  logic [16:0] root_q;
  logic [17:0] rem_q;
  logic [19:0] rem4;
  logic [18:0] trial;
  logic [20:0] root_diff;
  assign rem4 = {rem_q, pairs_q[33:32]};
  assign trial = {root_q, 2'b01};
  assign root_diff = {1'b0, rem4} - {2'b00, trial};
  wire unused_rem = &{1'b0, rem4[19:18], root_diff[19:18], 1'b0};

  // d = 2^34 / root, a bit a step from the remainder 2^15 on, which is below any root.
  logic [16:0] div_rem_q;
  logic [18:0] d_q;
  logic [18:0] div_diff;
  assign div_diff = {1'b0, div_rem_q, 1'b0} - {2'b00, root_q};
  wire unused_div = &{1'b0, div_diff[17], 1'b0};

  // The mantissa product, and the two uses of scale_norm.
  logic [23:0] a_q;
  logic [34:0] product_q, product2_q;
  logic [47:0] norm_v;
  logic [11:0] norm_e;
  logic norm_in, norm_valid, norm_sat, mul_sat, sat_q;
  logic [23:0] norm_out;
  wire product_phase = step_q >= PRODUCT_IN;
  assign norm_in = start || step_q == PRODUCT_IN;
  assign norm_v = product_phase ? {13'b0, product2_q} : {1'b0, amax};
  assign norm_e = product_phase ? 12'($signed(a_q[23:16])) - 12'd34 - 12'($signed(k_q)) : 12'd0;

  always_ff @(posedge clk) begin
    if (start) t_q <= {1'b0, ss} + {14'b0, eps};
    if (step_q == ALIGN_1) begin
      t1_q  <= t1_d;
      lz1_q <= lz1_d;
    end
    if (step_q == ALIGN_2) begin
      pairs_q <= t_is_0 ? 34'h1_0000_0000 : t2_d[77:44];
      k_q     <= t_is_0 ? -6'd16 : 6'd22 - lz2_d;
      root_q  <= '0;
      rem_q   <= '0;
    end else if (step_q <= ROOT_LAST) begin
      pairs_q   <= {pairs_q[31:0], 2'b00};
      root_q    <= {root_q[15:0], !root_diff[20]};
      rem_q     <= root_diff[20] ? rem4[17:0] : root_diff[17:0];
      div_rem_q <= 17'h8000;
    end else if (step_q <= DIV_LAST) begin
      div_rem_q <= div_diff[18] ? {div_rem_q[15:0], 1'b0} : div_diff[16:0];
      d_q       <= {d_q[17:0], !div_diff[18]};
    end
    if (norm_valid && !product_phase) a_q <= norm_out;
    product_q  <= {19'b0, a_q[15:0]} * {16'b0, d_q};
    product2_q <= product_q;
  end

  scale_norm #(
      .VW(48),
      .EW(12)
  ) u_norm (
      .clk,
      .rst,
      .en(1'b1),
      .in_valid(norm_in),
      .in_v(norm_v),
      .in_e(norm_e),
      .out_valid(norm_valid),
      .out_scale(norm_out),
      .out_sat(norm_sat)
  );

  scale_mul #(
      .EW(12)
  ) u_mul (
      .clk,
      .rst,
      .en(1'b1),
      .in_valid(norm_valid && product_phase),
      .in_a(norm_out),
      .in_b(c),
      .out_valid(done),
      .out_scale(scale),
      .out_sat(mul_sat)
  );

  always_ff @(posedge clk) begin
    if (rst) sat_q <= 1'b0;
    else sat_q <= (norm_valid && norm_sat) || (done && mul_sat);
  end
  assign sat_inc = sat_q;
endmodule
