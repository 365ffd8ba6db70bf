// softmax: scores to weights of V, streaming base-2 softmax of G query heads side by side (docs/numerics.md section 5).
// score: a position of all heads; first restarts M, E and S, last ends the head. p: w and shift for every position, in order.
// sum: S of every head and E after the last position. Latency 13 cycles to p, 12 to sum, one position a cycle.
// A position enters only when the fifo of p (and, for a last one, that of sum) has room for it, so no stage ever waits.
// sat: a score saturated since reset; sat_inc: scores that saturated, in one cycle a position.
module softmax #(
    parameter int G = 1,
    parameter int ROM_LOG2 = 8,
    parameter int ROM_BITS = 15,
    parameter ROM_FILE = "exp2_256x15.hex"
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   score_valid,
    output logic                   score_ready,
    input  logic [       22*G-1:0] score_dot,
    input  logic [       24*G-1:0] score_sq,
    input  logic [           23:0] score_sk,
    input  logic [           23:0] score_sv,
    input  logic                   score_first,
    input  logic                   score_last,
    output logic                   p_valid,
    input  logic                   p_ready,
    output logic [       25*G-1:0] p_w,
    output logic [        6*G-1:0] p_sh,
    output logic                   sum_valid,
    input  logic                   sum_ready,
    output logic [       40*G-1:0] sum_s,
    output logic [            7:0] sum_e,
    output logic                   sat,
    output logic [$clog2(G+1)-1:0] sat_inc
);
  localparam int SW = 46 * G + 50;
  localparam int DEPTH = 16;  // positions inside
  localparam int CW = $clog2(G + 1);

  // ---- input, and room in the output fifos
  logic in_valid, issue;
  logic [SW-1:0] in_data;
  logic [22*G-1:0] dot0;
  logic [24*G-1:0] sq0;
  logic [23:0] sk0, sv0;
  logic first0, last0;
  logic [4:0] inside_q;  // positions between the skid and the taken p
  logic [1:0] ending_q;  // heads whose last position is inside or whose sum waits

  skid #(
      .W(SW)
  ) u_score (
      .clk,
      .rst,
      .in_valid (score_valid),
      .in_ready (score_ready),
      .in_data  ({score_dot, score_sq, score_sk, score_sv, score_first, score_last}),
      .out_valid(in_valid),
      .out_ready(issue),
      .out_data (in_data)
  );
  assign {dot0, sq0, sk0, sv0, first0, last0} = in_data;
  assign issue = in_valid && inside_q != 5'(DEPTH) && !(last0 && ending_q == 2'd2);

  always_ff @(posedge clk) begin
    if (rst) begin
      inside_q <= '0;
      ending_q <= '0;
    end else begin
      inside_q <= inside_q + 5'(issue) - 5'(p_valid && p_ready);
      ending_q <= ending_q + 2'(issue && last0) - 2'(sum_valid && sum_ready);
    end
  end

  // ---- what all lanes share: bit n of v_q, first_q, last_q and slice n of sv_q belong to stage n
  logic [11:1] v_q;
  logic [9:1] first_q;
  logic [10:1] last_q;
  logic [9*24+23:24] sv_q;

  always_ff @(posedge clk) begin
    if (rst) v_q <= '0;
    else v_q <= {v_q[10:1], issue};
    first_q <= {first_q[8:1], first0};
    last_q  <= {last_q[9:1], last0};
    sv_q    <= {sv_q[8*24+23:24], sv0};
  end

  // E' = max(E, e_v) at stage 9, its distances at stage 10.
  logic signed [7:0] ev8, ev9, exp9_q, exp9_d, exp10_q;
  logic [7:0] dexp9_q, wshift9;
  logic [4:0] wshift10_q;
  logic [5:0] dexp10_q;

  assign ev8 = sv_q[8*24+16+:8];
  assign ev9 = sv_q[9*24+16+:8];
  assign exp9_d = (first_q[8] || ev8 > exp9_q) ? ev8 : exp9_q;
  assign wshift9 = 8'(exp9_q - ev9);

  always_ff @(posedge clk) begin
    if (v_q[8]) begin
      exp9_q  <= exp9_d;
      dexp9_q <= first_q[8] ? 8'd0 : 8'(exp9_d - exp9_q);
    end
    exp10_q    <= exp9_q;
    wshift10_q <= wshift9 > 8'd31 ? 5'd31 : 5'(wshift9);
    dexp10_q   <= dexp9_q > 8'd63 ? 6'd63 : 6'(dexp9_q);
  end

  // ---- lanes
  logic [G-1:0] sat5;
  logic [40*G-1:0] s10;
  logic [25*G-1:0] w11;
  logic [6*G-1:0] sh11;
  logic [12*G-1:0] f7;
  logic [ROM_BITS*G-1:0] rom8_q;

  // Two lanes share a ROM of two read ports.
  for (genvar h = 0; h < (G + 1) / 2; h++) begin : g_rom
    logic [ROM_BITS-1:0] rom[0:(1<<ROM_LOG2)-1];
    initial $readmemh(ROM_FILE, rom);

    for (genvar g = 2 * h; g < 2 * h + 2 && g < G; g++) begin : g_port
      always_ff @(posedge clk) rom8_q[ROM_BITS*g+:ROM_BITS] <= rom[f7[12*g+12-ROM_LOG2+:ROM_LOG2]];
    end
  end

  for (genvar g = 0; g < G; g++) begin : g_lane
    softmax_lane #(
        .ROM_BITS(ROM_BITS)
    ) u_lane (
        .clk,
        .v6      (v_q[6]),
        .v9      (v_q[9]),
        .first6  (first_q[6]),
        .first9  (first_q[9]),
        .dot     (dot0[22*g+:22]),
        .sq      (sq0[24*g+:24]),
        .sk      (sk0),
        .f7      (f7[12*g+:12]),
        .rom8    (rom8_q[ROM_BITS*g+:ROM_BITS]),
        .mv9     (sv_q[9*24+:16]),
        .wshift10(wshift10_q),
        .dexp10  (dexp10_q),
        .sat5    (sat5[g]),
        .s10     (s10[40*g+:40]),
        .w11     (w11[25*g+:25]),
        .sh11    (sh11[6*g+:6])
    );
  end

  // ---- saturations of stage 5
  logic sat_q;
  logic [CW-1:0] count5, sat_inc_q;

  always_comb begin
    count5 = '0;
    for (int g = 0; g < G; g++) count5 = count5 + CW'(sat5[g]);
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      sat_q     <= 1'b0;
      sat_inc_q <= '0;
    end else begin
      sat_inc_q <= v_q[5] ? count5 : '0;
      if (v_q[5] && count5 != '0) sat_q <= 1'b1;
    end
  end
  assign sat     = sat_q;
  assign sat_inc = sat_inc_q;

  // ---- output fifos; their room was reserved at issue
  logic p_room, sum_room;
  logic [4:0] p_count;
  logic [1:0] sum_count;

  fifo #(
      .W(31 * G),
      .DEPTH(DEPTH)
  ) u_p (
      .clk,
      .rst,
      .in_valid (v_q[11]),
      .in_ready (p_room),
      .in_data  ({sh11, w11}),
      .out_valid(p_valid),
      .out_ready(p_ready),
      .out_data ({p_sh, p_w}),
      .count    (p_count)
  );
  fifo #(
      .W(40 * G + 8),
      .DEPTH(2)
  ) u_sum (
      .clk,
      .rst,
      .in_valid (v_q[10] && last_q[10]),
      .in_ready (sum_room),
      .in_data  ({exp10_q, s10}),
      .out_valid(sum_valid),
      .out_ready(sum_ready),
      .out_data ({sum_e, sum_s}),
      .count    (sum_count)
  );

  logic unused;
  assign unused = ^{f7, p_room, sum_room, p_count, sum_count};
endmodule
