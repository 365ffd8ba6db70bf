// Properties of axi_write_port, put before its endmodule by testbench/src/harness/formal.rs; data FIFO of distributed RAM.
// The memory answers only complete bursts; segments and data do anything.
// Held: AW and W stand until taken; a burst is at most BURST beats, aligned, inside 4 KiB; the data of an announced burst are here, so W
// never waits for them; every burst has exactly its beats, the last one marked; no FIFO overflows; with peers that answer within
// F_WAIT cycles something moves every F_BOUND cycles.
`ifdef F_PROGRESS
  localparam int F_WAIT = `F_WAIT, F_BOUND = `F_BOUND;  // spec/src/block/axi.rs
`else
  localparam int F_WAIT = 0, F_BOUND = 0;
`endif

  logic f_started = 1'b0;
  logic f_aw_waits = 1'b0, f_w_waits = 1'b0;
  logic [71:0] f_aw;
  logic [PW+PW/8:0] f_w;

  (* hierconn *) wire [OUTSTANDING*8-1:0] \u_len.f_words ;
  logic [OUTSTANDING*8-1:0] f_lens;
  assign f_lens = \u_len.f_words ;
  logic [15:0] f_sum[0:OUTSTANDING];  // beats of announced bursts, from the oldest with data here on
  assign f_sum[0] = 16'd0;
  for (genvar k = 0; k < OUTSTANDING; k++) begin : f_each
    assign f_sum[k+1] = f_sum[k] + (16'(k) < 16'(unused_l_count) ? 16'(f_lens[k*8+:8]) + 16'd1 : 16'd0);
  end
  logic [15:0] f_announced;
  assign f_announced = f_sum[OUTSTANDING] - 16'(w_index_q);

  // Bursts that are not complete: their AW or their last W beat is not taken. They are the newest ones.
  logic [15:0] f_open, f_owed;
  assign f_open = 16'(unused_l_count) > 16'(aw_valid_q) ? 16'(unused_l_count) : 16'(aw_valid_q);
  assign f_owed = 16'(flight_q) - 16'(resp_valid_q) - f_open;  // complete and not answered

  always_ff @(posedge clk) begin
    f_started  <= 1'b1;
    f_aw_waits <= m_awvalid && !m_awready && !rst;
    f_aw       <= {m_awaddr, m_awlen};
    f_w_waits  <= m_wvalid && !m_wready && !rst;
    f_w        <= {m_wdata, m_wstrb, m_wlast};
  end

  logic [7:0] f_aw_wait = 8'd0, f_w_wait = 8'd0, f_b_wait = 8'd0, f_still = 8'd0;
  logic f_moved, f_work;
  assign f_moved = (seg_valid && seg_ready) || (m_awvalid && m_awready) || (m_wvalid && m_wready) || m_bvalid || (d_valid && d_ready);
  // A burst whose data do not come is no work of this port.
  assign f_work  = (!b_empty && fill_q >= DS'(BURST)) || m_awvalid || m_wvalid || flight_q != '0;
  always_ff @(posedge clk) begin
    f_aw_wait <= rst || !m_awvalid || m_awready ? 8'd0 : f_aw_wait + 8'd1;
    f_w_wait  <= rst || !m_wvalid || m_wready ? 8'd0 : f_w_wait + 8'd1;
    f_b_wait  <= rst || f_owed == 16'd0 || m_bvalid ? 8'd0 : f_b_wait + 8'd1;
    f_still   <= rst || stop || f_moved || !f_work ? 8'd0 : f_still + 8'd1;
  end
  logic f_prompt;  // every peer answers in time
`ifdef F_PROGRESS
  assign f_prompt = 1'b1;
`else
  assign f_prompt = 1'b0;
`endif

  always_comb begin
    if (!f_started) assume (rst);
    assume (!m_bvalid || f_owed != 16'd0);
    if (f_prompt) begin
      assume (!stop);
      assume (f_aw_wait < 8'(F_WAIT) || !m_awvalid || m_awready);
      assume (f_w_wait < 8'(F_WAIT) || !m_wvalid || m_wready);
      assume (f_b_wait < 8'(F_WAIT) || f_owed == 16'd0 || m_bvalid);
    end
    if (f_started) begin
      if (f_aw_waits) assert (m_awvalid && {m_awaddr, m_awlen} == f_aw);
      if (f_w_waits) assert (m_wvalid && {m_wdata, m_wstrb, m_wlast} == f_w);
      if (m_awvalid) begin
        assert (m_awaddr[LB-1:0] == '0);
        assert (9'(m_awlen) < 9'(BURST));
        assert (13'(m_awaddr[11:0]) + ((13'(m_awlen) + 13'd1) << LB) <= 13'd4096);
        assert ((m_awaddr[LB+8:LB] & 9'(BURST - 1)) + 9'(m_awlen) < 9'(BURST));
      end
      // What is counted twice agrees.
      assert (unused_a_count == flight_q);
      assert (flight_q <= FW'(OUTSTANDING));
      assert (16'(flight_q) >= 16'(resp_valid_q) + f_open);
      assert (l_valid ? w_index_q <= l_len : w_index_q == 8'd0);
      for (int k = 0; k < OUTSTANDING; k++)
        if (16'(k) < 16'(unused_l_count)) assert (f_lens[k*8+:8] < 8'(BURST));
      // The data of announced bursts are here.
      assert (32'(f_count) == 32'(fill_q) + 32'(f_announced));
      assert (fill_q <= DS'(DEPTH));
      if (l_valid) assert (f_valid);
      if (take) assert (unused_l_in_ready && unused_a_in_ready);
      // Progress.
      if (f_prompt) begin
        assert (f_aw_wait <= 8'(F_WAIT) && f_w_wait <= 8'(F_WAIT) && f_b_wait <= 8'(F_WAIT));
        assert (f_still < 8'(F_BOUND));
      end
    end
  end
