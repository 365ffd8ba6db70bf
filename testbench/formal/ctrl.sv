// Properties of ctrl, put before its endmodule by testbench/src/harness/formal.rs: progress, for peers that answer within f_m cycles.
// A peer is late in a cycle in which ctrl waits for it and it does not answer: an offered segment or command is not taken; a word
// that the record under way still lacks does not come although there is room; the writers are not idle after the last command.
// Assumed: no peer is late for more than f_m cycles on end, and no word comes that was not asked for. f_m is any number.
// Held: while ctrl is busy, fewer than f_m + F_BOUND cycles on end pass in which nothing moves. Every movement brings the run nearer to
// its end: F_MOVES of them a descriptor, in order. Every word that ctrl waits for was asked for. A request that waits stands.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/ctrl.rs, progress_bound(0)
  localparam int F_MOVES = `F_MOVES;  // moves_of_pass()
  localparam int FB = 32;
`ifdef F_WAIT
  logic [FB-1:0] f_m;
  assign f_m = FB'(`F_WAIT);
`else
  (* anyconst *) logic [FB-1:0] f_m;
`endif
  (* hierconn *) wire [1:0] \u_go.count_q ;
  (* hierconn *) wire [1:0] \u_desc.count_q ;
  (* hierconn *) wire [1:0] \u_const.count_q ;
  logic [1:0] f_go_held, f_desc_held, f_const_held;
  assign f_go_held = \u_go.count_q ;
  assign f_desc_held = \u_desc.count_q ;
  assign f_const_held = \u_const.count_q ;

  // Words asked for that have not come; words that the record under way still lacks, those in the skid included.
  logic f_started = 1'b0;
  logic [7:0] f_desc_owed, f_const_owed, f_desc_lack, f_const_lack;
  assign f_desc_lack  = f_q == F_WORDS ? 8'(DW) - 8'(fi_q) : 8'd0;
  assign f_const_lack = x_q == X_CONST ? 8'(DW) - 8'(xi_q) : 8'd0;
  always_ff @(posedge clk) begin
    f_started    <= 1'b1;
    f_desc_owed  <= rst ? 8'd0 : f_desc_owed + (dseg_valid && dseg_ready && dseg_dest == stream_pkg::AUX_DESCRIPTOR ? 8'(DW) : 8'd0)
                    - 8'(desc_valid && desc_ready);
    f_const_owed <= rst ? 8'd0 : f_const_owed + (wseg_valid && wseg_ready && wseg_dest == stream_pkg::WEIGHT_CONST ? 8'(DW) : 8'd0)
                    - 8'(const_valid && const_ready);
  end

  // Per peer: ctrl waits for it, and it answers. Of the commands after the first, which is on dseg, one waits at a time.
  localparam int DSEG = 0, WSEG = 1, COMMAND = 2, DESC = 3, CONST = 4, QUIET = 5, PEERS = 6;
  logic [PEERS-1:0] f_asked, f_answer, f_late;
  assign f_asked[DSEG]     = dseg_valid;
  assign f_answer[DSEG]    = dseg_ready;
  assign f_asked[WSEG]     = wseg_valid;
  assign f_answer[WSEG]    = wseg_ready;
  assign f_asked[COMMAND]  = xload_valid || norm_valid || resid_valid || unpack_valid || tmac_valid || rope_valid || headq_valid
      || kvwrite_valid || kvread_valid || attn_valid || xstore_valid;
  assign f_answer[COMMAND] = (xload_valid && xload_ready) || (norm_valid && norm_ready) || (resid_valid && resid_ready)
      || (unpack_valid && unpack_ready) || (tmac_valid && tmac_ready) || (rope_valid && rope_ready) || (headq_valid && headq_ready)
      || (kvwrite_valid && kvwrite_ready) || (kvread_valid && kvread_ready) || (attn_valid && attn_ready)
      || (xstore_valid && xstore_ready);
  assign f_asked[DESC]     = desc_ready && f_desc_lack > 8'(f_desc_held);
  assign f_answer[DESC]    = desc_valid;
  assign f_asked[CONST]    = const_ready && f_const_lack > 8'(f_const_held);
  assign f_answer[CONST]   = const_valid;
  assign f_asked[QUIET]    = x_q == X_WAIT;
  assign f_answer[QUIET]   = quiet;
  assign f_late = f_asked & ~f_answer;

  // A handshake on any stream, a doorbell taken, or the end of a pass.
  logic f_moved;
  assign f_moved = |(f_asked & f_answer) || (desc_valid && desc_ready) || (const_valid && const_ready) || (g_valid && g_take);

  // Since something moved: cycles in which somebody was late, and in which nobody was; the peers that were late in all of the first.
  logic [FB-1:0] f_waited;
  logic [3:0] f_own;
  logic [PEERS-1:0] f_first;
  logic f_rest;
  assign f_rest = rst || !busy || f_moved;
  always_ff @(posedge clk) begin
    f_waited <= f_rest ? '0 : f_waited + FB'(|f_late);
    f_own    <= f_rest ? '0 : f_own + 4'(f_late == '0);
    f_first  <= f_rest || (f_waited == '0 && f_late == '0) ? '1 : f_first & f_late;
  end

  // Movements that are still to come: of the passes under way, and of a descriptor that has not been asked for (its own request and
  // words, five segments, the constants, fifteen commands, the end), of which there are f_unasked.
  logic [15:0] f_unasked, f_unasked_before;
  logic [7:0] f_rest_moves, f_before, f_moves;
  logic f_counts;
  logic [7:0] f_fetch_moves, f_execute_moves;
  always_comb begin
    f_unasked = left_q - 16'd1;
    f_fetch_moves = 8'd16;
    case (f_q)
      F_IDLE: begin
        f_unasked = 16'd0;
        f_fetch_moves = 8'd0;
      end
      F_REQ, F_ASK: begin
        f_unasked = left_q;
        f_fetch_moves = 8'd0;
      end
      F_WORDS, F_CHECK: f_fetch_moves = 8'd21 + 8'(DW);
      F_WSEG: f_fetch_moves = 8'd21 - 8'(sec_q) + (sec_q == 3'd0 ? 8'(DW) : 8'd0);
      default: ;
    endcase
    case (x_q)
      X_IDLE: f_execute_moves = 8'd0;
      X_CONST: f_execute_moves = 8'd16;
      X_ISSUE: f_execute_moves = 8'd16 - 8'(step_q);
      default: f_execute_moves = 8'd1;
    endcase
  end
  assign f_rest_moves = f_fetch_moves + f_execute_moves + (slot_full_q ? 8'd16 : 8'd0) + f_desc_owed + f_const_owed;
  always_ff @(posedge clk) begin
    f_counts         <= f_started && !rst && !(g_valid && g_take);
    f_unasked_before <= f_unasked;
    f_before         <= f_rest_moves;
    f_moves <= 8'(dseg_valid && dseg_ready) + 8'(wseg_valid && wseg_ready) + 8'(f_asked[COMMAND] && f_answer[COMMAND])
        + 8'(f_asked[QUIET] && f_answer[QUIET]) + 8'(desc_valid && desc_ready) + 8'(const_valid && const_ready);
  end

  // What waits stands.
  logic f_dseg_waits, f_wseg_waits, f_command_waits;
  logic [65:0] f_dseg, f_wseg;
  logic [3:0] f_step;
  always_ff @(posedge clk) begin
    f_dseg_waits    <= f_started && !rst && dseg_valid && !dseg_ready;
    f_wseg_waits    <= f_started && !rst && wseg_valid && !wseg_ready;
    f_command_waits <= f_started && !rst && f_late[COMMAND];
    f_dseg          <= {dseg_off, dseg_beats, dseg_dest};
    f_wseg          <= {wseg_off, wseg_beats, wseg_dest};
    f_step          <= step_q;
  end

`ifdef F_EAGER
  // A counterexample near at hand: doorbells of one descriptor at once, words as soon as they are owed, and nobody is late before the
  // first command.
  always_comb
    if (f_started)
      assume (!rst && go_valid && go_count == 16'd1 && quiet && wseg_ready && (dseg_ready || issue_x) && (f_late == '0 || issue_x)
          && desc_valid == (f_desc_owed != 8'd0) && const_valid == (f_const_owed != 8'd0));
`endif
  always_comb begin
    if (!f_started) assume (rst);
    assume (!f_m[FB-1]);
    if (f_waited == f_m) assume ((f_first & f_late) == '0);
    assume (!desc_valid || f_desc_owed != 8'd0);
    assume (!const_valid || f_const_owed != 8'd0);
    if (f_started) begin
      assert (f_waited + FB'(f_own) < f_m + FB'(F_BOUND));
`ifndef F_BOUND_ONLY
      if (f_counts) begin
        assert (f_unasked <= f_unasked_before);
        assert (9'(f_rest_moves) + 9'(f_moves) <= 9'(f_before) + (f_unasked == f_unasked_before ? 9'd0 : 9'(F_MOVES)));
      end
      if (f_dseg_waits) assert (dseg_valid && {dseg_off, dseg_beats, dseg_dest} == f_dseg);
      if (f_wseg_waits) assert (wseg_valid && {wseg_off, wseg_beats, wseg_dest} == f_wseg);
      if (f_command_waits) assert (f_asked[COMMAND] && step_q == f_step);
      assert (f_waited <= f_m);
      assert (f_waited == '0 ? f_first == '1 : (f_first & f_asked) != '0);
      // Words asked for, held and lacked agree; three records of constants at most are on their way.
      if (f_asked[DESC]) assert (f_desc_owed != 8'd0);
      if (f_asked[CONST]) assert (f_const_owed != 8'd0);
      assert (f_go_held <= 2'd2 && f_desc_held <= 2'd2 && f_const_held <= 2'd2);
      assert (32'(f_desc_owed) <= DW && 32'(f_const_owed) <= 3 * DW);
      assert (f_desc_owed + 8'(f_desc_held) == f_desc_lack);
      assert (f_const_owed + 8'(f_const_held) == f_const_lack + (slot_full_q ? 8'(DW) : 8'd0)
          + ((f_q == F_WSEG && sec_q != 3'd0) || f_q == F_PUSH ? 8'(DW) : 8'd0));
      if (f_q == F_WORDS) assert (f_desc_held <= 2'd1);
      if (x_q == X_CONST && xi_q != '0) assert (f_const_held <= 2'd1);
      assert (f_q <= F_ASK && (f_q == F_IDLE || left_q != 16'd0));
      if (f_q == F_WSEG) assert (sec_q <= 3'd4);
      if (x_q == X_ISSUE) assert (step_q <= LAST_STEP);
      if (f_q == F_WORDS) assert (32'(fi_q) < DW);
      if (x_q == X_CONST) assert (32'(xi_q) < DW);
      // For how long nothing can have moved without anybody's being late, state by state. The fetch machine:
      if (f_q == F_IDLE && !working) assert (f_own <= 4'd2);
      if (f_q == F_REQ && !issue_x) assert (f_own <= 4'd2);
      if (f_q == F_ASK) assert (f_own <= 4'd3);
      if (f_q == F_WORDS) assert (f_own == 4'd0);
      if (f_q == F_CHECK) assert (f_own <= 4'd1);
      if (f_q == F_WSEG) assert (f_own <= (sec_q == 3'd0 ? 4'd2 : 4'd0));
      if (f_q == F_PUSH && !slot_full_q) assert (f_own <= (x_q == X_IDLE ? 4'd0 : 4'd1));
      // The execute machine:
      if (x_q == X_IDLE && slot_full_q) assert (f_own <= (f_q == F_PUSH ? 4'd0 : 4'd1));
      if (x_q == X_CONST) assert (f_own <= (xi_q == '0 ? 4'd2 : 4'd3));
      // The third word of a record finds room in the skid only when the first has gone.
      if (x_q == X_CONST && 32'(xi_q) >= 2 && f_const_held != 2'd0) assert (f_own == 4'd0);
      if (issue_x) assert (f_own <= (DW > 2 ? 4'd1 : 4'(DW + 2)));
      if (f_asked[COMMAND] || f_asked[QUIET]) assert (f_own == 4'd0);
`endif
    end
  end
