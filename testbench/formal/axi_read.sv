// Properties of axi_read, put before its endmodule by testbench/src/harness/formal.rs; the ports are testbench/formal/stub/.
// For each class of its own: weights (wseg, w), auxiliary (dseg, kseg, a). A peer is late in a cycle in which the class waits for it: a port
// does not take the segment that all others take too, or has not its beat of the next super-word; the sink does not take the word.
// Assumed: no peer of the class is late for more than m cycles on end while nothing of the class moves. Nothing about the other class.
// Held: while a segment of the class waits or is not delivered, something of the class moves every m + F_BOUND cycles; every segment is
// delivered with exactly its super-words, in the order of the grants; kseg is granted only when dseg does not ask.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/axi.rs, join_bound(0)
  // The last port's beat of a super-word is a movement: from then on the word is offered.
  logic f_w_whole, f_a_whole;
  localparam int F_SEG = 0, F_DATA = 1, F_SINK = 2, F_PEERS = 3;
  logic [F_PEERS-1:0] f_w_asked, f_w_answer, f_a_asked, f_a_answer;
  assign f_w_asked[F_SEG]   = ws_valid && wq_ready;
  assign f_w_answer[F_SEG]  = &pw_seg_ready;
  assign f_w_asked[F_DATA]  = wq_valid && !f_w_whole;
  assign f_w_answer[F_DATA] = &pw_valid;
  assign f_w_asked[F_SINK]  = w_valid;
  assign f_w_answer[F_SINK] = w_ready;
  assign f_a_asked[F_SEG]   = xs_valid && aq_ready;
  assign f_a_answer[F_SEG]  = &px_seg_ready;
  assign f_a_asked[F_DATA]  = aq_valid && !f_a_whole;
  assign f_a_answer[F_DATA] = &px_valid;
  assign f_a_asked[F_SINK]  = a_valid;
  assign f_a_answer[F_SINK] = a_ready;
  logic f_w_moved, f_a_moved;
  logic [3:0] f_w_own, f_a_own;
  always_ff @(posedge clk) begin
    f_w_whole <= !rst && w_valid && !w_move;
    f_a_whole <= !rst && a_valid && !a_move;
  end
  assign f_w_moved = (wseg_valid && wseg_ready) || (ws_valid && ws_ready) || w_move || (wq_valid && !f_w_whole && (&pw_valid));
  assign f_a_moved = (dseg_valid && dseg_ready) || (kseg_valid && kseg_ready) || (xs_valid && ds_ready) || a_move || (aq_valid && !f_a_whole && (&px_valid));
  f_patience #(
      .PEERS(F_PEERS),
      .BOUND(F_BOUND)
  ) u_w_patience (
      .clk,
      .rst,
      .still ((ws_valid || wq_valid) && !f_w_moved),
      .asked (f_w_asked),
      .answer(f_w_answer),
      .own   (f_w_own)
  );
  f_patience #(
      .PEERS(F_PEERS),
      .BOUND(F_BOUND)
  ) u_a_patience (
      .clk,
      .rst,
      .still ((xs_valid || aq_valid) && !f_a_moved),
      .asked (f_a_asked),
      .answer(f_a_answer),
      .own   (f_a_own)
  );

  logic f_started = 1'b0;
  logic [P-1:0] f_w_beat, f_a_beat;  // a port's beat stands until the super-word leaves: proven of its FIFO
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_w_beat  <= rst || w_move ? '0 : pw_valid;
    f_a_beat  <= rst || a_move ? '0 : px_valid;
  end
  always_comb begin
    if (!f_started) assume (rst);
    assume ((f_w_beat & ~pw_valid) == '0 && (f_a_beat & ~px_valid) == '0);
    if (f_started) begin
      if (wq_valid) assert (w_index_q <= wq_last);
      else assert (w_index_q == 32'd0);
      if (aq_valid) assert (a_index_q <= aq_last);
      else assert (a_index_q == 32'd0);
      assert (!f_w_whole || (wq_valid && (&pw_valid)));
      assert (!f_a_whole || (aq_valid && (&px_valid)));
      if (ks_valid && ks_ready) assert (!ds_valid);
    end
  end
