// Properties of kvwrite, put before its endmodule by testbench/src/harness/formal.rs: progress, for peers that answer within m cycles.
// A peer is late in a cycle in which kvwrite waits for it: an offered segment or word (on pb, on wd) is not taken; the next beat of a
// vector of the pass does not come.
// Assumed: a command has 1..BATCH tokens; a vector's beats are numbered from 0, the last one marked, at least two of them; no peer is late
// for more than m cycles on end while nothing moves.
// Held: while a command is here something moves every m + F_BOUND cycles. A vector gives two segments, from its first beat on and before the
// next vector's; a pass ends when all its beats, words and segments have gone. idle says that nothing is here. What waits stands.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/kvwrite.rs, progress_bound(0)
  (* hierconn *) wire [1:0] \u_kv.count_q ;
  (* hierconn *) wire [1:0] \u_cmd.count_q ;
  logic [1:0] f_kv_held, f_cmd_held;
  assign f_kv_held = \u_kv.count_q ;
  assign f_cmd_held = \u_cmd.count_q ;

  // Beats of the vector under way that have been used; vectors of the pass.
  logic f_started = 1'b0;
  logic [6:0] f_index;
  logic [12:0] f_total;
  logic f_first;  // of the pass's vectors
  logic [1:0] f_segments;  // taken since the first beat of a vector
  assign f_first = left_q == f_total;
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    if (rst || c_take) f_index <= 7'd0;
    else if (in_step) f_index <= k_last ? 7'd0 : k_index + 7'd1;
    if (rst) f_segments <= 2'd2;
    else if (in_step && k_index == 7'd0) f_segments <= 2'd0;
    else if (wseg_valid && wseg_ready) f_segments <= f_segments + 2'd1;
    if (c_take) f_total <= 13'(c_n) * 13'(2 * HK);
  end

  localparam int SEG = 0, PASS = 1, DATA = 2, KV = 3, PEERS = 4;
  logic [PEERS-1:0] f_asked, f_answer;
  assign f_asked[SEG]   = wseg_valid;
  assign f_answer[SEG]  = wseg_ready;
  assign f_asked[PASS]  = pb_valid;
  assign f_answer[PASS] = pb_ready;
  assign f_asked[DATA]  = wd_valid;
  assign f_answer[DATA] = wd_ready;
  assign f_asked[KV]    = active_q && left_q != '0 && !k_valid;
  assign f_answer[KV]   = kv_valid;
  logic f_moved;
  logic [3:0] f_own;
  assign f_moved = (wseg_valid && wseg_ready) || (pb_valid && pb_ready) || (wd_valid && wd_ready) || (kv_valid && kv_ready)
      || (cmd_valid && cmd_ready);
  f_patience #(
      .PEERS(PEERS),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still ((active_q || c_valid) && !f_moved),
      .asked (f_asked),
      .answer(f_answer),
      .own   (f_own)
  );

  // What waits stands.
  logic f_seg_waits, f_pb_waits, f_wd_waits;
  logic [47:0] f_seg;
  logic [W+TW+15:0] f_word;
  logic [W/8-1:0] f_strb;
  always_ff @(posedge clk) begin
    f_seg_waits <= f_started && !rst && wseg_valid && !wseg_ready;
    f_pb_waits  <= f_started && !rst && pb_valid && !pb_ready;
    f_wd_waits  <= f_started && !rst && wd_valid && !wd_ready;
    f_seg       <= {wseg_off, wseg_beats};
    f_word      <= {pb_kind, pb_head, pb_token, pb_word, pb_data};
    f_strb      <= wd_strb;
  end

`ifdef F_EAGER
  // A counterexample near at hand: commands of one token, vectors of two beats, and everything offered is taken.
  always_comb
    if (f_started) begin
      assume (!rst && cmd_n == (TW + 1)'(1) && wseg_ready && pb_ready && wd_ready);
      assume (kv_last == (kv_index == 7'd1) && (kv_index == 7'd0 || kv_index == 7'd1));
    end
`endif
  always_comb begin
    if (!f_started) assume (rst);
    // What the skids hand on is what came in: their own proof.
    if (c_valid) assume (c_n != '0 && 32'(c_n) <= BATCH);
    if (k_valid) assume (k_index == f_index && (!k_last || k_index != 7'd0) && k_index != 7'd127);
    if (f_started) begin
      assert (f_kv_held <= 2'd2 && f_cmd_held <= 2'd2 && address_q <= SCALE);
      assert (idle == (!active_q && f_cmd_held == 2'd0 && f_kv_held == 2'd0));
      if (!active_q) assert (!full_q && !scale_turn_q && !pb_q && !wd_q && address_free);
      if (active_q) begin
        assert (left_q <= f_total && f_total >= 13'd2 && f_total <= 13'(2 * HK * BATCH));
        // A vector that has begun is still among those to come.
        if (f_index != 7'd0) assert (left_q != '0);
        if (f_index <= 7'd1) assert (group_q == GW'(f_index));
      end
      // A vector's segments are offered from its first beat on, before the next one's.
      if (in_step && k_index == 7'd0) assert (address_free);
      assert (f_segments == (address_free ? 2'd2 : address_q == SCALE ? 2'd1 : 2'd0));
      // After a vector's last beat its words are on their way for longer than its first segment.
      assert (full_q || !scale_turn_q);
      if (address_q == PLACE) assert (f_index != 7'd0);
      if (address_q == PAGE && f_index == 7'd0) assert (full_q && scale_turn_q);
      if (address_q == SUM && f_index == 7'd0) assert (full_q);
      if (address_q == OFFSETS && f_index == 7'd0) assert (full_q || pb_q || wd_q);
`ifndef F_BOUND_ONLY
      if (f_seg_waits) assert (wseg_valid && {wseg_off, wseg_beats} == f_seg);
      if (f_pb_waits) assert (pb_valid && {pb_kind, pb_head, pb_token, pb_word, pb_data} == f_word);
      if (f_wd_waits) assert (wd_valid && {wd_data, wd_strb} == {f_word[W-1:0], f_strb});
      // For how long nothing can have moved without anybody's being late. Beats that came before their command: two at most.
      if (f_asked == '0) begin
        if (!active_q) assert (f_own <= 4'd1);
        else if (full_q) assert (f_own <= 4'd2);
        else if (left_q == '0) assert (done && f_own == 4'd0);
        else begin
          assert (in_step);
          if (f_first && f_index == 7'd0) assert (f_own <= 4'd2);
          else if (f_first && f_index == 7'd1) assert (f_own <= (f_kv_held == 2'd2 ? 4'd0 : 4'd3));
          else assert (f_own <= (f_kv_held == 2'd2 ? 4'd0 : 4'd1));
        end
      end
`endif
    end
  end
