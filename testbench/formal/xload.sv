// Properties of xload, put before its endmodule by testbench/src/harness/formal.rs: progress, for peers that answer within m cycles.
// A peer is late in a cycle in which xload waits for it: an offered group is not taken by xn's reader, or xr's; the next super-word of a
// command's vectors does not come.
// Assumed: a command has 1..2**TW tokens; no peer is late for more than m cycles on end while nothing moves.
// Held: while a command is here or a group is offered, something moves every m + F_BOUND cycles. Super-words are taken only for a command; both
// readers get every group, and one is at most two groups ahead of the other. What waits stands.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/xload.rs, progress_bound(0)
  (* hierconn *) wire [1:0] \u_cmd.count_q ;
  (* hierconn *) wire [1:0] \u_in.count_q ;
  (* hierconn *) wire [1:0] \u_xn.count_q ;
  (* hierconn *) wire [1:0] \u_xr.count_q ;
  logic [1:0] f_cmd_held, f_in_held, f_xn_held, f_xr_held;
  assign f_cmd_held = \u_cmd.count_q ;
  assign f_in_held = \u_in.count_q ;
  assign f_xn_held = \u_xn.count_q ;
  assign f_xr_held = \u_xr.count_q ;

  localparam int XN = 0, XR = 1, IN = 2, PEERS = 3;
  logic [PEERS-1:0] f_asked, f_answer;
  assign f_asked[XN]  = xn_valid;
  assign f_answer[XN] = xn_ready;
  assign f_asked[XR]  = xr_valid;
  assign f_answer[XR] = xr_ready;
  assign f_asked[IN]  = run && !have;
  assign f_answer[IN] = in_valid;
  logic f_moved;
  logic [3:0] f_own;
  assign f_moved = (xn_valid && xn_ready) || (xr_valid && xr_ready) || (in_valid && in_ready) || (cmd_valid && cmd_ready);
  f_patience #(
      .PEERS(PEERS),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still ((run || xn_valid || xr_valid) && !f_moved),
      .asked (f_asked),
      .answer(f_answer),
      .own   (f_own)
  );

  // Groups that xn's reader has more than xr's; the place of the next group, which every group moves on.
  logic f_started = 1'b0;
  logic f_same, f_took;
  logic signed [3:0] f_ahead;
  logic [TW+GW:0] f_at, f_before;
  assign f_at = {tok_q, group_q};
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_ahead   <= rst ? '0 : f_ahead + 4'(xn_valid && xn_ready) - 4'(xr_valid && xr_ready);
    f_same    <= f_started && !rst && !done;
    f_took    <= take;
    f_before  <= f_at;
  end

  always_comb begin
    if (!f_started) assume (rst);
    if (run) assume (n != '0 && 32'(n) <= 2 ** TW);  // what the skid hands on is what came in: its own proof
    if (f_started) begin
      assert (f_cmd_held <= 2'd2 && f_in_held <= 2'd2 && f_xn_held <= 2'd2 && f_xr_held <= 2'd2);
      assert (f_ahead == 4'(f_xr_held) - 4'(f_xn_held));
      assert (run ? tok_q < n : tok_q == '0 && group_q == '0 && sub_q == '0);
      assert (32'(group_q) < GROUPS && 32'(sub_q) < SUBS);
      if (f_same) assert (f_took ? f_at > f_before : f_at == f_before);
`ifndef F_BOUND_ONLY
      if (f_asked == '0) assert (f_own == 4'd0);
`endif
    end
  end
