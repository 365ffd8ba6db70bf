// Four-state check of tmac: no X of an activation that was never written, of a token beyond n or of an idle bus reaches a level or a
// valid sum. One phase: n = 2 of BATCH = 4 tokens, rows of 2 array words whose second has activations in 5 of 8 groups,
// every weight -1, also where there is no activation. Prints PASS and the number of sums, or what was wrong.
`timescale 1ns / 1ps
module tmac_x #(
    parameter int DEPTH = 4
);
  localparam int LANES = 16, BATCH = 4, VEC = 2, GROUPS = 13, ROWS = 20;
  logic clk = 1'b0, rst = 1'b1;
  logic cmd_valid = 1'b0, cmd_dest, cmd_ready, act_valid = 1'b0, act_ready, t_valid = 1'b0, t_ready;
  logic [19:0] cmd_acts, cmd_rows;
  logic [14:0] cmd_wpr, act_index;
  logic [2:0] cmd_n;
  logic [1:0] act_token, sum0_token, sum1_token;
  logic [8*VEC-1:0] act_data;
  logic [2*LANES-1:0] t_trits;
  logic sum0_valid, sum1_valid, sum0_ready = 1'b0, sum1_ready = 1'b0, busy, wait_w, wait_act, wait_out;
  logic [21:0] sum0_data, sum1_data;

  always #1 clk = !clk;
  tmac #(.LANES(LANES), .BATCH(BATCH), .VEC(VEC), .DEPTH(DEPTH)) dut (.*);

  logic signed [7:0] low, high;
  int wrong = 0, sums = 0, expected[0:1];

  always @(negedge clk) begin
    sum0_ready <= $random;
    if (!rst) begin
      if (^{cmd_ready, act_ready, t_ready, sum0_valid, sum1_valid, busy, wait_w, wait_act, wait_out} === 1'bx) wrong++;
      if (sum1_valid !== 1'b0) wrong++;
      if (sum0_valid && sum0_ready) begin
        if (sum0_token !== 2'(sums % 2) || sum0_data !== 22'(expected[sums%2])) begin
          wrong++;
          $display("sum %0d: token %b, data %b, expected %0d", sums, sum0_token, sum0_data, expected[sums%2]);
        end
        sums++;
      end
    end
  end

  initial begin
    expected[0] = 0;
    expected[1] = 0;
    repeat (3) @(negedge clk);
    rst = 1'b0;
    {cmd_acts, cmd_wpr, cmd_rows, cmd_n, cmd_dest} = {20'(2 * GROUPS), 15'd2, 20'(ROWS), 3'd2, 1'b0};
    cmd_valid = 1'b1;
    @(negedge clk) cmd_valid = 1'b0;
    for (int k = 0; k < 2 * GROUPS; k++) begin
      {act_token, act_index, act_data} = {2'(k / GROUPS), 15'(k % GROUPS), 16'($random)};
      {high, low} = act_data;
      expected[k/GROUPS] = expected[k/GROUPS] - int'(low) - int'(high);
      act_valid = 1'b1;
      while (!act_ready) @(negedge clk);
      @(negedge clk) act_valid = 1'b0;
    end
    {act_token, act_index, act_data} = 'x;
    for (int k = 0; k < 2 * ROWS; k++) begin
      t_valid = 1'b1;
      t_trits = '1;
      while (!t_ready) @(negedge clk);
      @(negedge clk) t_valid = 1'b0;
      t_trits = 'x;
      if ($random % 2 == 0) @(negedge clk);
    end
    repeat (200) @(negedge clk);
    if (wrong == 0 && sums == 2 * ROWS) $display("PASS %0d sums", sums);
    else $display("FAIL %0d sums, %0d wrong", sums, wrong);
    $finish;
  end
endmodule
