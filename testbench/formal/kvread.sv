// Properties of kvread, put before its endmodule by testbench/src/harness/formal.rs: progress, for peers that answer within m cycles.
// A peer is late in a cycle in which kvread waits for it: an offered segment or word is not taken; the word of a block in memory that is
// next does not come though it was asked for; the words of the pass that are missing do not come on pb.
// Assumed: commands as ctrl gives them, with 1..BATCH tokens inside the context; words come on `in` only when they were asked for; on pb a
// scale follows the NW words of each vector; no peer is late for more than m cycles on end while nothing moves.
// Held: while a command is here or a word stands at kv, something moves every m + F_BOUND cycles. Words asked for, on their way, held and
// still to be used agree in every cycle; what is asked for is used up at the pass's end. What moves brings the pass nearer to its end.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/kvread.rs, progress_bound(0)
  (* hierconn *) wire [1:0] \u_in.count_q ;
  (* hierconn *) wire [1:0] \u_pb.count_q ;
  (* hierconn *) wire [1:0] \u_cmd.count_q ;
  logic [1:0] f_in_held, f_pb_held, f_cmd_held;
  assign f_in_held = \u_in.count_q ;
  assign f_pb_held = \u_pb.count_q ;
  assign f_cmd_held = \u_cmd.count_q ;

  // Words in memory: of a head's blocks; of the heads before the next segment's, and before the next word's; of what lies before the
  // next segment, and before the next word; asked for and on their way.
  localparam int HEADS = BATCH * HK, HB = $clog2(HEADS + 1), FB = $clog2(HEADS * (CTX / 16) * BLOCK + 1) + 1;
  localparam int BB = $clog2(CTX / 16 + 1);
  logic f_started = 1'b0;
  logic [FB-1:0] f_head, f_seg_heads, f_out_heads, f_asked_for, f_used, f_owed;
  logic [HB-1:0] f_seg_head, f_out_head, f_ahead;
  logic [FB-1:0] f_ahead_words[0:HB];
  assign f_seg_head = HB'(seg_t_q) * HB'(HK) + HB'(seg_head_q);
  assign f_out_head = HB'(t_q) * HB'(HK) + HB'(head_q);
  assign f_ahead    = f_seg_head - f_out_head;
  assign f_ahead_words[0] = '0;
  for (genvar k = 0; k < HB; k++) begin : f_each
    assign f_ahead_words[k+1] = f_ahead_words[k] + (f_ahead[k] ? f_head << k : '0);
  end
  assign f_asked_for = f_seg_heads + FB'(BB'(seg_b_q)) * FB'(BLOCK) + (seg_q == SECOND ? FB'(SW) + FB'(tail_q) * FB'(NW) : '0);
  assign f_used = f_out_heads + (!memory ? f_head : FB'(BB'(b_q)) * FB'(BLOCK) + (part_q == HEADER ? '0 : FB'(word_q))
      + (part_q[1] ? FB'(SW) : '0) + (part_q == VALUES ? FB'(count) * FB'(NW) : '0));
  always_ff @(posedge clk) begin
    if (c_take) begin
      f_head <= c_pos == '0 ? '0 : FB'(BB'((c_pos - 14'd1) >> 4)) * FB'(BLOCK) + FB'(SW) + FB'(2 * NW) + FB'(4'(c_pos - 14'd1)) * FB'(2 * NW);
      f_seg_heads <= '0;
      f_out_heads <= '0;
    end else begin
      if (seg_next && seg_last_b) f_seg_heads <= f_seg_heads + f_head;
      if (en && step && part_q == VALUES && last_word && !memory) f_out_heads <= f_out_heads + f_head;
    end
  end

  // Words of the pass that pb still lacks, those in the skid included: of a vector NW and its scale.
  logic [7:0] f_phase;
  localparam int LB = $clog2(2 * HEADS * (NW + 1) + 1);
  logic [LB-1:0] f_lack, f_pass;
  assign f_lack = LB'(missing_q) * LB'(NW + 1) - LB'(f_phase);
  assign f_pass = LB'(n_q) * LB'(2 * HK * (NW + 1));
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_owed <= rst ? '0 : f_owed + (kseg_valid && kseg_ready ? FB'(kseg_beats) : '0) - FB'(in_valid && in_ready);
    if (rst || c_take) f_phase <= 8'd0;
    else if (p_take && p_valid) f_phase <= f_phase == 8'(NW) ? 8'd0 : f_phase + 8'd1;
  end

  localparam int SEG = 0, KV = 1, IN = 2, PB = 3, PEERS = 4;
  logic [PEERS-1:0] f_asked, f_answer;
  assign f_asked[SEG]  = kseg_valid;
  assign f_answer[SEG] = kseg_ready;
  assign f_asked[KV]   = kv_valid;
  assign f_answer[KV]  = kv_ready;
  assign f_asked[IN]   = active_q && memory && part_q != HEADER && !d_valid && f_owed != '0;
  assign f_answer[IN]  = in_valid;
  assign f_asked[PB]   = active_q && !memory && missing_q != '0 && !p_valid;
  assign f_answer[PB]  = pb_valid;
  logic f_moved;
  logic [3:0] f_own;
  assign f_moved = (kseg_valid && kseg_ready) || (kv_valid && kv_ready) || (in_valid && in_ready) || (pb_valid && pb_ready)
      || (cmd_valid && cmd_ready);
  f_patience #(
      .PEERS(PEERS),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still ((active_q || c_valid || kv_valid) && !f_moved),
      .asked (f_asked),
      .answer(f_answer),
      .own   (f_own)
  );

  // Where the two sides stand; what waits.
  localparam int PB_BITS = TW + 10 + 9 + 2 + CW;
  logic f_same_pass, f_word, f_segment, f_seg_waits, f_kv_waits;
  logic [PB_BITS-1:0] f_at, f_before;
  logic [TW+21:0] f_seg_at, f_seg_before;
  logic [63:0] f_seg;
  logic [1:0] f_kind;
  assign f_at     = {t_q, head_q, b_q, part_q, word_q};
  assign f_seg_at = {seg_t_q, seg_head_q, seg_b_q, seg_q == SECOND};
  always_ff @(posedge clk) begin
    f_same_pass  <= f_started && !rst && !c_take;
    f_word       <= en && step;
    f_segment    <= kseg_valid && kseg_ready;
    f_before     <= f_at;
    f_seg_before <= f_seg_at;
    f_seg_waits  <= f_started && !rst && kseg_valid && !kseg_ready;
    f_kv_waits   <= f_started && !rst && kv_valid && !kv_ready;
    f_seg        <= {kseg_off, kseg_beats};
    f_kind       <= kv_kind;
  end

`ifdef F_EAGER
  // A counterexample near at hand: everything offered is taken.
  always_comb if (f_started) assume (!rst && kseg_ready && kv_ready);
`endif
  always_comb begin
    if (!f_started) assume (rst);
    assume (!in_valid || f_owed != '0);
    // What the skids hand on is what came in: their own proof.
    if (c_valid) assume (c_n != '0 && 32'(c_n) <= BATCH && 32'(c_pos) + 32'(c_n) <= CTX);
    if (p_valid) assume ((p_word == stream_pkg::SCALE_WORD) == (f_phase == 8'(NW)));
    if (f_started) begin
      assert (f_in_held <= 2'd2 && f_pb_held <= 2'd2 && f_cmd_held <= 2'd2);
      assert (f_phase <= 8'(NW) && seg_q <= SECOND && !f_owed[FB-1]);
      assert (f_owed + FB'(f_in_held) == (active_q ? f_asked_for - f_used : '0));
      if (active_q) begin
        assert (f_head == (blocks_q == '0 ? '0 : FB'(BB'(blocks_q - 10'd1)) * FB'(BLOCK) + FB'(SW) + FB'(tail_q) * FB'(2 * NW)));
        assert (f_seg_heads - f_out_heads == f_ahead_words[HB]);
        assert (blocks_q == '0 ? f_seg_heads == '0 && f_seg_head == '0 && seg_b_q == '0 && seg_q == IDLE : f_seg_head >= f_out_head + HB'(!memory));
        assert (n_q != '0 && 32'(n_q) <= BATCH && 32'(blocks_q) <= CTX / 16 && tail_q != '0 && tail_q <= 5'd16);
        assert (t_q < n_q && 32'(head_q) < HK && b_q <= blocks_q);
        assert (part_q == HEADER ? word_q == '0 : word_q < words);
        assert (32'(missing_q) <= 2 * HK * 32'(n_q) && (missing_q != '0 || f_phase == 8'd0));
        // Until the last segment has been taken: where the next one lies.
        if (seg_q == IDLE) assert (blocks_q == '0 || (f_seg_head == HB'(n_q) * HB'(HK) && seg_b_q == '0));
        else assert (seg_t_q < n_q && 32'(seg_head_q) < HK && seg_b_q < blocks_q);
        if (seg_q == SECOND) assert (seg_last_b && seg_partial);
        // All that was asked for has been used when the pass ends.
        if (finished) assert (seg_q == IDLE && f_owed == '0 && f_in_held == 2'd0 && missing_q == '0);
      end else assert (seg_q == IDLE && !w1_q && !w2_q);
      // Every movement counts.
      if (f_same_pass && active_q) begin
        assert (f_word ? f_at > f_before : f_at == f_before);
        if (seg_q != IDLE) assert (f_segment ? f_seg_at > f_seg_before : f_seg_at == f_seg_before);
      end
      // What waits stands.
      if (f_seg_waits) assert (kseg_valid && {kseg_off, kseg_beats} == f_seg);
      if (f_kv_waits) assert (kv_valid && kv_kind == f_kind);
      // For how long nothing can have moved without anybody's being late.
`ifndef F_BOUND_ONLY
      if (active_q && missing_q != '0) begin
        // Only a pass's first words can have waited for it in the skid.
        if (f_pb_held == 2'd2) assert (f_lack == f_pass);
        if (p_valid && f_lack + LB'(1) < f_pass) assert (f_own == 4'd0);
      end
      if (!kv_valid) begin
        if (!active_q) assert (f_own == 4'd0);
        if (seg_q == PAGE) assert (f_own <= 4'd1);
        if (seg_q == SUM) assert (f_own <= 4'd2);
        if (kseg_valid) assert (f_own <= 4'd3);
        if (active_q && step && memory) assert (f_own <= 4'd1);
        if (active_q && !memory && missing_q != '0) assert (f_own <= (f_pb_held == 2'd2 ? 4'd1 : f_pb_held == 2'd1 ? 4'd2 : 4'd3));
        if (active_q && !memory && missing_q == '0) assert (f_own <= (w1_q ? 4'd1 : w2_q ? 4'd2 : 4'd3));
      end
`endif
    end
  end
