// Put before the endmodule of axi_burst inside the proof of a master: every burst lies inside one block of BURST beats, so it is
// no longer than BURST and crosses no 4 KiB; and it stands until it is taken.
  logic f_started = 1'b0;
  logic f_waits = 1'b0;
  logic [63:0] f_addr;
  logic [7:0] f_len;
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    f_waits   <= burst_valid && !burst_ready && !rst;
    f_addr    <= burst_addr;
    f_len     <= burst_len;
  end
  always_comb begin
    if (f_started) begin
      if (burst_valid_q) assert ((burst_beat_q[8:0] & 9'(BURST - 1)) + 9'(burst_len_q) < 9'(BURST));
      if (act_valid_q) assert (act_left_q != 32'd0);
      if (f_waits) assert (burst_valid && burst_addr == f_addr && burst_len == f_len);
    end
  end
