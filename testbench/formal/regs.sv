// Properties of regs, put before its endmodule by testbench/src/harness/formal.rs: the reset of the core and the host's side.
// Assumed: after the stop both masters are drained at the latest after f_m cycles. f_m is any number; everything else is free.
// Held: stop stands for at most f_m + F_BOUND cycles, the last RESET_CYCLES of them with core_rst; every write and every read of the host
// is answered exactly once: the read in the next cycle, the write as soon as nobody else is late; what waits stands, on all streams.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/regs.rs, soft_reset_bound(0)
`ifdef F_WAIT
  logic [31:0] f_m;
  assign f_m = 32'd`F_WAIT;
`else
  (* anyconst *) logic [31:0] f_m;
`endif
  logic f_started = 1'b0;

  // Cycles of the stop that wait for the masters, and the others.
  logic [31:0] f_drains;
  logic [3:0] f_own;
  logic f_late;
  assign f_late = r_q == R_DRAIN && !drained;
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_drains  <= rst || !stop ? '0 : f_drains + 32'(f_late);
    f_own     <= rst || !stop ? '0 : f_own + 4'(!f_late);
  end

  // Answers that are owed; what waited in the last cycle.
  logic [1:0] f_aw, f_w;
  logic f_ar, f_asked;
  logic f_b_waits, f_r_waits, f_go_waits, f_ptw_waits, f_ptr_waits;
  logic [1:0] f_bresp, f_rresp;
  logic [31:0] f_rdata;
  logic [47:0] f_go, f_entry;
  logic f_live;
  assign f_live = f_started && !rst;
  always_ff @(posedge clk) begin
    f_aw        <= rst ? 2'd0 : f_aw + 2'(s_awvalid && s_awready) - 2'(s_bvalid && s_bready);
    f_w         <= rst ? 2'd0 : f_w + 2'(s_wvalid && s_wready) - 2'(s_bvalid && s_bready);
    f_ar        <= !rst && ((s_arvalid && s_arready) || (f_ar && !(s_rvalid && s_rready)));
    f_asked     <= f_live && s_arvalid && s_arready;
    f_b_waits   <= f_live && s_bvalid && !s_bready;
    f_r_waits   <= f_live && s_rvalid && !s_rready;
    f_go_waits  <= f_live && go_valid && !go_ready && !core_rst;
    f_ptw_waits <= f_live && ptw_valid && !ptw_ready && !core_rst;
    f_ptr_waits <= f_live && ptr_valid && !ptr_ready && !core_rst;
    f_bresp     <= s_bresp;
    f_rresp     <= s_rresp;
    f_rdata     <= s_rdata;
    f_go        <= {go_ptr, go_count};
    f_entry     <= {pt_slot_q, pt_entry_q};
  end

  always_comb begin
    if (!f_started) assume (rst);
    assume (!f_m[31]);
    assume (!f_late || f_drains < f_m);
    if (f_started) begin
      // The stop.
      assert (f_drains + 32'(f_own) <= f_m + 32'(F_BOUND));
      assert (r_q <= R_RESET && (r_q != R_DRAIN || f_own == 4'd0) && f_drains <= f_m);
      if (r_q == R_RESET) assert (r_count_q < 3'(regmap_pkg::RESET_CYCLES) && f_own == 4'd1 + 4'(r_count_q));
      // A write: both halves stand here until it acts, one answer stands until it is taken. It waits for two reasons only.
      assert (f_aw == 2'(aw_q) + 2'(b_q) && f_w == 2'(w_q) + 2'(b_q));
      if (aw_q && w_q) assert (commit || s_bvalid || ptw_valid || ptr_valid);
      // A read.
      assert (f_ar == rv_q);
      if (f_asked) assert (s_rvalid);
      // What waits stands.
      if (f_b_waits) assert (s_bvalid && s_bresp == f_bresp);
      if (f_r_waits) assert (s_rvalid && s_rdata == f_rdata && s_rresp == f_rresp);
      if (f_go_waits) assert (go_valid && {go_ptr, go_count} == f_go);
      if (f_ptw_waits) assert (ptw_valid && {ptw_index, ptw_entry} == f_entry);
      if (f_ptr_waits) assert (ptr_valid && {ptr_index, ptr_entry} == f_entry);
    end
  end
