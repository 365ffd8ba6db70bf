// Properties of axi_read_port, put before its endmodule by testbench/src/harness/formal.rs; OUTSTANDING at least 2, FIFOs of
// distributed RAM. The memory answers only what it was asked for; sinks and segments do anything.
// Held: AR stands until taken; a burst is at most BURST beats, aligned, inside 4 KiB; every beat in flight has its place in its FIFO, so
// no FIFO overflows; every beat finds its burst; with a memory that answers within F_WAIT cycles a class that has work moves, or the memory
// does, every F_BOUND cycles, but while the class's own sink is late for more than F_WAIT: the other class's sink may never answer.
  localparam int ODEPTH = OUTSTANDING < 2 ? 2 : OUTSTANDING;
  localparam int OW = 73 - LB;
`ifdef F_PROGRESS
  localparam int F_WAIT = `F_WAIT, F_BOUND = `F_BOUND;  // spec/src/block/axi.rs
`else
  localparam int F_WAIT = 0, F_BOUND = 0;
`endif

  logic f_started = 1'b0;
  logic f_waits = 1'b0;
  logic [71:0] f_waiting;
  logic [15:0] f_owed = 16'd0;  // beats of accepted bursts that the memory did not send

  (* hierconn *) wire [ODEPTH*OW-1:0] \u_order.f_words ;
  logic [ODEPTH*OW-1:0] f_order;
  assign f_order = \u_order.f_words ;

  // Beats of the bursts in flight that have not entered a FIFO, of all and of each class.
  logic [15:0] f_sum[0:ODEPTH], f_sum_x[0:ODEPTH];
  assign f_sum[0] = 16'd0;
  assign f_sum_x[0] = 16'd0;
  for (genvar k = 0; k < ODEPTH; k++) begin : f_each
    logic f_held, f_class;
    logic [7:0] f_length;
    logic [15:0] f_beats;
    assign f_held = 16'(k) < 16'(unused_o_count);
    assign {f_class, f_length} = f_order[k*OW+64-LB+:9];
    assign f_beats = f_held ? 16'(f_length) + 16'd1 : 16'd0;
    assign f_sum[k+1] = f_sum[k] + f_beats;
    assign f_sum_x[k+1] = f_sum_x[k] + (f_class ? f_beats : 16'd0);
  end
  logic [15:0] f_all, f_x, f_w;
  assign f_all = f_sum[ODEPTH] - 16'(r_index_q);
  assign f_x   = f_sum_x[ODEPTH] - (o_valid && o_class ? 16'(r_index_q) : 16'd0);
  assign f_w   = f_all - f_x;

  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_waits   <= m_arvalid && !m_arready && !rst;
    f_waiting <= {m_araddr, m_arlen};
    if (rst) f_owed <= 16'd0;
    else f_owed <= f_owed + (m_arvalid && m_arready ? 16'(m_arlen) + 16'd1 : 16'd0) - 16'(m_rvalid);
  end

  // Progress of each class: how long each peer has made the port wait, and how long nothing of the class or the memory moved although the
  // class had work. A class's own sink alone may hold it: while that is overdue nothing is counted.
  logic [7:0] f_ar_wait = 8'd0, f_r_wait = 8'd0, f_w_wait = 8'd0, f_x_wait = 8'd0, f_still_w = 8'd0, f_still_x = 8'd0;
  logic f_moved, f_flight, f_w_overdue, f_x_overdue;
  assign f_moved     = (m_arvalid && m_arready) || m_rvalid;
  assign f_flight    = m_arvalid || flight_q != '0;
  assign f_w_overdue = f_w_wait == 8'(F_WAIT) && w_valid && !w_ready;
  assign f_x_overdue = f_x_wait == 8'(F_WAIT) && x_valid && !x_ready;
  always_ff @(posedge clk) begin
    f_ar_wait <= rst || !m_arvalid || m_arready ? 8'd0 : f_ar_wait + 8'd1;
    f_r_wait  <= rst || f_owed == 16'd0 || m_rvalid ? 8'd0 : f_r_wait + 8'd1;
    f_w_wait  <= rst || !w_valid || w_ready ? 8'd0 : f_w_wait + 8'(!f_w_overdue);
    f_x_wait  <= rst || !x_valid || x_ready ? 8'd0 : f_x_wait + 8'(!f_x_overdue);
    f_still_w <= rst || stop || f_moved || (wseg_valid && wseg_ready) || (w_valid && w_ready) || f_w_overdue
        || !(f_flight || !unused_wb_empty || w_valid) ? 8'd0 : f_still_w + 8'd1;
    f_still_x <= rst || stop || f_moved || (xseg_valid && xseg_ready) || (x_valid && x_ready) || f_x_overdue
        || !(f_flight || !unused_xb_empty || x_valid) ? 8'd0 : f_still_x + 8'd1;
  end
  logic f_prompt;  // the memory answers in time
`ifdef F_PROGRESS
  assign f_prompt = 1'b1;
`else
  assign f_prompt = 1'b0;
`endif

  always_comb begin
    if (!f_started) assume (rst);
    assume (!m_rvalid || f_owed != 16'd0);
    if (f_prompt) begin
      assume (!stop);
      assume (f_ar_wait < 8'(F_WAIT) || !m_arvalid || m_arready);
      assume (f_r_wait < 8'(F_WAIT) || f_owed == 16'd0 || m_rvalid);
    end
    if (f_started) begin
      if (f_waits) assert (m_arvalid && {m_araddr, m_arlen} == f_waiting);
      if (m_arvalid) begin
        assert (m_araddr[LB-1:0] == '0);
        assert (9'(m_arlen) < 9'(BURST));
        assert (13'(m_araddr[11:0]) + ((13'(m_arlen) + 13'd1) << LB) <= 13'd4096);
        assert ((m_araddr[LB+8:LB] & 9'(BURST - 1)) + 9'(m_arlen) < 9'(BURST));
      end
      // What is counted twice agrees.
      assert (unused_o_count == flight_q);
      assert (flight_q <= FW'(OUTSTANDING));
      assert (o_valid ? r_index_q <= o_len : r_index_q == 8'd0);
      assert (f_owed <= 16'(OUTSTANDING * BURST));
      assert (f_all == f_owed + 16'(r_valid_q) + (ar_valid_q ? 16'(ar_len_q) + 16'd1 : 16'd0));
      for (int k = 0; k < ODEPTH; k++)
        if (16'(k) < 16'(flight_q)) assert (f_order[k*OW+64-LB+:8] < 8'(BURST));
      if (r_valid_q) assert (o_valid);
      // Every beat in flight has its place.
      assert (32'(w_space_q) + 32'(unused_w_count) + 32'(f_w) == 32'(W_DEPTH));
      assert (32'(x_space_q) + 32'(unused_x_count) + 32'(f_x) == 32'(X_DEPTH));
      if (arrive && !o_class) assert (unused_w_in_ready);
      if (arrive && o_class) assert (unused_x_in_ready);
      if (take_w || take_x) assert (unused_o_ready);
      // Progress.
      if (f_prompt) begin
        assert (f_ar_wait <= 8'(F_WAIT) && f_r_wait <= 8'(F_WAIT) && f_w_wait <= 8'(F_WAIT) && f_x_wait <= 8'(F_WAIT));
        assert (f_still_w < 8'(F_BOUND) && f_still_x < 8'(F_BOUND));
      end
    end
  end
