// Properties of xstore, put before its endmodule by testbench/src/harness/formal.rs: progress, for peers that answer within m cycles.
// A peer is late in a cycle in which xstore waits for it: an offered segment or word is not taken; the next group of a command's
// vectors does not come.
// Assumed: a command has 1..2**TW tokens; no peer is late for more than m cycles on end while nothing moves.
// Held: while a command is here or something is offered, something moves every m + F_BOUND cycles. A command sends one segment a vector, not
// before the vector's turn; every group brings it nearer to its end. What waits stands.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/xload.rs, progress_bound(0)
  (* hierconn *) wire [1:0] \u_cmd.count_q ;
  (* hierconn *) wire [1:0] \u_y.count_q ;
  logic [1:0] f_cmd_held, f_y_held;
  assign f_cmd_held = \u_cmd.count_q ;
  assign f_y_held = \u_y.count_q ;

  localparam int SEG = 0, DATA = 1, Y = 2, PEERS = 3;
  logic [PEERS-1:0] f_asked, f_answer;
  assign f_asked[SEG]   = wseg_valid;
  assign f_answer[SEG]  = wseg_ready;
  assign f_asked[DATA]  = wd_valid;
  assign f_answer[DATA] = wd_ready;
  assign f_asked[Y]     = run && tok_q != n && !have;
  assign f_answer[Y]    = y_valid;
  logic f_moved;
  logic [3:0] f_own;
  assign f_moved = (wseg_valid && wseg_ready) || (wd_valid && wd_ready) || (y_valid && y_ready) || (cmd_valid && cmd_ready);
  f_patience #(
      .PEERS(PEERS),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still (!idle && !f_moved),
      .asked (f_asked),
      .answer(f_answer),
      .own   (f_own)
  );

  logic f_started = 1'b0;
  logic f_same, f_took, f_seg_waits, f_wd_waits;
  logic [TW+GW:0] f_at, f_before;
  logic [31:0] f_off;
  logic [W-1:0] f_word;
  assign f_at = {tok_q, group_q};
  always_ff @(posedge clk) begin
    f_started   <= 1'b1;
    f_same      <= f_started && !rst && !done;
    f_took      <= take;
    f_before    <= f_at;
    f_seg_waits <= f_started && !rst && wseg_valid && !wseg_ready;
    f_wd_waits  <= f_started && !rst && wd_valid && !wd_ready;
    f_off       <= wseg_off;
    f_word      <= wd_data;
  end

`ifdef F_EAGER
  // A counterexample near at hand: everything offered is taken.
  always_comb if (f_started) assume (!rst && wseg_ready && wd_ready);
`endif
  always_comb begin
    if (!f_started) assume (rst);
    if (run) assume (n != '0 && 32'(n) <= 2 ** TW);  // what the skid hands on is what came in: its own proof
    if (f_started) begin
      assert (f_cmd_held <= 2'd2 && f_y_held <= 2'd2);
      assert (run ? tok_q <= n && seg_q <= n : tok_q == '0 && seg_q == '0 && group_q == '0 && sub_q == '0);
      assert (32'(group_q) < GROUPS && 32'(sub_q) < SUBS && (tok_q != n || group_q == '0) && (group_q != '0 || sub_q == '0));
      // No segment before its vector's turn, and only a segment that waits keeps the one of a vector that has gone on.
      assert (seg_q <= tok_q + (TW + 1)'(1) && (wseg_valid || seg_q >= tok_q));
      if (done) assert (seg_q == n && tok_q == n && (wd_valid || wseg_valid));
      // Two groups wait only for a word to be taken, or for their command.
      if (run && tok_q != n && !wd_valid && f_y_held == 2'd2) assert (tok_q == '0 && seg_q == '0 && group_q == '0);
      // The place of the next group: every group moves it on.
      if (f_same) assert (f_took ? f_at > f_before : f_at == f_before);
`ifndef F_BOUND_ONLY
      if (f_seg_waits) assert (wseg_valid && wseg_off == f_off);
      if (f_wd_waits) assert (wd_valid && wd_data == f_word);
      if (f_asked == '0) assert (f_own == 4'd0);
`endif
    end
  end
