// attn_out: accumulators of a group to attention outputs, o = sat_32(shr(acc * R, 19 + k - E)) (docs/numerics.md section 5).
// sum: S of the G heads and E; acc: their accumulators in order query head, dimension, HD/VEC beats a head; o: a beat each.
// The reciprocals of a group are made while the group before leaves. Latency 6 cycles from acc to o, one beat a cycle.
// sat: an output saturated since reset; sat_inc: outputs that saturated, in one cycle a beat.
module attn_out #(
    parameter int G = 1,
    parameter int HD = 64,
    parameter int VEC = 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     sum_valid,
    output logic                     sum_ready,
    input  logic [         40*G-1:0] sum_s,
    input  logic [              7:0] sum_e,
    input  logic                     acc_valid,
    output logic                     acc_ready,
    input  logic [       48*VEC-1:0] acc_data,
    output logic                     o_valid,
    input  logic                     o_ready,
    output logic [       32*VEC-1:0] o_data,
    output logic                     sat,
    output logic [$clog2(VEC+1)-1:0] sat_inc
);
  localparam int BEATS = HD / VEC;
  localparam int BW = $clog2(BEATS);
  localparam int RDEPTH = G < 2 ? 2 : G;  // reciprocals ready
  localparam int DEPTH = 8;  // beats inside
  localparam int CW = $clog2(VEC + 1);

  // ---- reciprocals
  logic sum_v, sum_take, made, made_room, r_v, right0;
  logic [40*G-1:0] sum_s0;
  logic [7:0] sum_e0;
  logic [18:0] made_r, r0;
  logic made_right;
  logic [6:0] made_amount, amount0;
  logic [$clog2(RDEPTH+1)-1:0] r_count;
  logic issue, head_end;

  skid #(
      .W(40 * G + 8)
  ) u_sum (
      .clk,
      .rst,
      .in_valid (sum_valid),
      .in_ready (sum_ready),
      .in_data  ({sum_e, sum_s}),
      .out_valid(sum_v),
      .out_ready(sum_take),
      .out_data ({sum_e0, sum_s0})
  );
  attn_recip #(
      .G(G)
  ) u_recip (
      .clk,
      .rst,
      .sum_valid(sum_v),
      .sum_take,
      .sum_s    (sum_s0),
      .sum_e    (sum_e0),
      .r_valid  (made),
      .r_ready  (made_room),
      .r        (made_r),
      .right    (made_right),
      .amount   (made_amount)
  );
  fifo #(
      .W(27),
      .DEPTH(RDEPTH)
  ) u_r (
      .clk,
      .rst,
      .in_valid (made),
      .in_ready (made_room),
      .in_data  ({made_r, made_right, made_amount}),
      .out_valid(r_v),
      .out_ready(head_end),
      .out_data ({r0, right0, amount0}),
      .count    (r_count)
  );

  // ---- accumulators
  logic acc_v;
  logic [48*VEC-1:0] acc0;
  logic [BW-1:0] beat_q;
  logic [3:0] inside_q;  // beats between the skid and the taken o

  skid #(
      .W(48 * VEC)
  ) u_acc (
      .clk,
      .rst,
      .in_valid (acc_valid),
      .in_ready (acc_ready),
      .in_data  (acc_data),
      .out_valid(acc_v),
      .out_ready(issue),
      .out_data (acc0)
  );
  assign issue    = acc_v && r_v && inside_q != 4'(DEPTH);
  assign head_end = issue && beat_q == BW'(BEATS - 1);

  logic [4:1] v_q;
  always_ff @(posedge clk) begin
    if (rst) begin
      beat_q   <= '0;
      inside_q <= '0;
      v_q      <= '0;
    end else begin
      if (issue) beat_q <= head_end ? '0 : beat_q + BW'(1);
      inside_q <= inside_q + 4'(issue) - 4'(o_valid && o_ready);
      v_q      <= {v_q[3:1], issue};
    end
  end

  // ---- 1 partial products of 17 bits of acc, 2 product, 3 shift, 4 round and saturate
  logic right1_q, right2_q, right3_q;
  logic [6:0] amount1_q, amount2_q;
  logic [32*VEC-1:0] o4;
  logic [VEC-1:0] sat4;

  always_ff @(posedge clk) begin
    {right1_q, amount1_q} <= {right0, amount0};
    {right2_q, amount2_q} <= {right1_q, amount1_q};
    right3_q              <= right2_q;
  end

  for (genvar j = 0; j < VEC; j++) begin : g_lane
    logic [47:0] a0;
    logic [35:0] low1_q, mid1_q;
    logic signed [32:0] high1_q;
    logic signed [65:0] prod2_q, right_q3, round3;
    logic signed [63:0] left_q3;
    logic fits3_q, neg3_q, right_fits3, left_fits3, sat4_q;
    logic [31:0] o4_q;

    assign a0 = acc0[48*j+:48];
    assign round3 = (right_q3 + 66'sd1) >>> 1;
    assign right_fits3 = round3[65:31] == {35{round3[65]}};
    assign left_fits3 = fits3_q && left_q3[63:31] == {33{left_q3[63]}};

    always_ff @(posedge clk) begin
      low1_q  <= {19'd0, a0[16:0]} * {17'd0, r0};
      mid1_q  <= {19'd0, a0[33:17]} * {17'd0, r0};
      high1_q <= $signed({{19{a0[47]}}, a0[47:34]}) * $signed({14'd0, r0});
      prod2_q <= $signed({30'd0, low1_q}) + $signed({13'd0, mid1_q, 17'd0}) + $signed({high1_q[31:0], 34'd0});
      right_q3 <= prod2_q >>> amount2_q;
      left_q3  <= $signed({{32{prod2_q[31]}}, prod2_q[31:0]}) << amount2_q;
      fits3_q  <= prod2_q[65:31] == {35{prod2_q[65]}};
      neg3_q   <= prod2_q[65];
      sat4_q   <= right3_q ? !right_fits3 : !left_fits3;
      if (right3_q ? right_fits3 : left_fits3) o4_q <= right3_q ? round3[31:0] : left_q3[31:0];
      else o4_q <= {neg3_q, {31{!neg3_q}}};
    end
    assign o4[32*j+:32] = o4_q;
    assign sat4[j] = sat4_q;

    logic unused;
    assign unused = high1_q[32];
  end

  logic sat_q;
  logic [CW-1:0] count4, sat_inc_q;

  always_comb begin
    count4 = '0;
    for (int j = 0; j < VEC; j++) count4 = count4 + CW'(sat4[j]);
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      sat_q     <= 1'b0;
      sat_inc_q <= '0;
    end else begin
      sat_inc_q <= v_q[4] ? count4 : '0;
      if (v_q[4] && count4 != '0) sat_q <= 1'b1;
    end
  end
  assign sat     = sat_q;
  assign sat_inc = sat_inc_q;

  // ---- output; its room was reserved at issue
  logic o_room;
  logic [3:0] o_count;

  fifo #(
      .W(32 * VEC),
      .DEPTH(DEPTH)
  ) u_o (
      .clk,
      .rst,
      .in_valid (v_q[4]),
      .in_ready (o_room),
      .in_data  (o4),
      .out_valid(o_valid),
      .out_ready(o_ready),
      .out_data (o_data),
      .count    (o_count)
  );

  logic unused;
  assign unused = ^{o_room, o_count, r_count};
endmodule
