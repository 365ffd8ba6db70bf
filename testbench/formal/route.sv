// Properties of route, put before its endmodule by testbench/src/harness/formal.rs: sinks take what they are offered, or not.
// Held: while it holds a word, something moves every m + F_BOUND cycles for sinks that are at most m cycles late; nothing but the sink of
// the oldest word makes it wait; every word leaves once, at the output of its dest, in order, and stands there until it is taken.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/route.rs, progress_bound(0)
  (* hierconn *) wire [1:0] \u_in.count_q ;
  (* hierconn *) wire [W+1:0] \u_in.tail_q ;
  logic [1:0] f_held;
  logic [W+1:0] f_tail;
  assign f_held = \u_in.count_q ;
  assign f_tail = \u_in.tail_q ;

  logic [2:0] f_asked, f_answer;
  logic f_push, f_pop;
  logic [3:0] unused_own;
  assign f_asked  = {o2_valid, o1_valid, o0_valid};
  assign f_answer = {o2_ready, o1_ready, o0_ready};
  assign f_push   = in_valid && in_ready;
  assign f_pop    = |(f_asked & f_answer) || (valid && dest == 2'd3);
  f_patience #(
      .PEERS(3),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still (valid && !f_push && !f_pop),
      .asked (f_asked),
      .answer(f_answer),
      .own   (unused_own)
  );

  // One word, picked at any push by the solver, is followed.
  (* anyseq *) logic f_pick;
  logic f_started = 1'b0;
  logic f_tracked = 1'b0, f_second;  // inside, behind another one
  logic [1:0] f_dest;
  logic [W-1:0] f_data;
  logic [2:0] f_waits;
  logic [W-1:0] f_waiting;
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    if (rst) f_tracked <= 1'b0;
    else if (f_tracked) begin
      if (f_pop) f_second <= 1'b0;
      if (f_pop && !f_second) f_tracked <= 1'b0;
    end else if (f_push && f_pick) begin
      f_tracked <= 1'b1;
      f_second  <= f_held != 2'(f_pop);
      f_dest    <= in_dest;
      f_data    <= in_data;
    end
    f_waits   <= f_started && !rst ? f_asked & ~f_answer : 3'd0;
    f_waiting <= data;
  end

  always_comb begin
    if (!f_started) assume (rst);
    if (f_started) begin
      assert (f_held <= 2'd2 && f_pop == (valid && ready));
      assert ((f_asked & (f_asked - 3'd1)) == 3'd0);
      assert (in_ready || valid);
      if (f_tracked && f_second) assert (f_held == 2'd2 && f_tail == {f_dest, f_data});
      if (f_tracked && !f_second) begin
        assert (valid && {1'b0, f_asked} == (f_dest == 2'd3 ? 4'd0 : 4'd1 << f_dest));
        assert (o0_data == f_data && o1_data == f_data && o2_data == f_data);
      end
      if (f_waits != 3'd0) assert (f_asked == f_waits && data == f_waiting);
    end
  end
