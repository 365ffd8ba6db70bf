// Properties of skid, put before its endmodule by testbench/src/harness/formal.rs.
// One word, picked at any push by the solver (f_pick), is followed: it must leave exactly when the words in front of it have
// left, with its own data. Since every word may be the picked one, none is lost, doubled, altered or overtaken.
  (* anyseq *) logic f_pick;
  logic f_started = 1'b0;
  logic f_tracked = 1'b0;  // the picked word is inside
  logic [1:0] f_ahead;  // words in front of it
  logic [W-1:0] f_data;
  logic f_waits = 1'b0;  // a valid word was not taken in the last cycle
  logic [W-1:0] f_waiting;

  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    if (rst) f_tracked <= 1'b0;
    else if (f_tracked) begin
      if (pop && f_ahead == 2'd0) f_tracked <= 1'b0;
      else if (pop) f_ahead <= f_ahead - 2'd1;
    end else if (push && f_pick) begin
      f_tracked <= 1'b1;
      f_ahead   <= count_q - {1'b0, pop};
      f_data    <= in_data;
    end
    f_waits   <= out_valid && !out_ready && !rst;
    f_waiting <= out_data;
  end

  always_comb begin
    if (!f_started) assume (rst);
    if (f_started) begin
      assert (count_q <= 2'd2);
      assert (in_ready == (count_q < 2'd2));
      assert (out_valid == (count_q > 2'd0));
      if (f_tracked) begin
        assert (f_ahead < count_q);
        if (f_ahead == 2'd0) assert (out_valid && out_data == f_data);
        if (f_ahead == 2'd1) assert (tail_q == f_data);
      end
      if (f_waits) assert (out_valid && out_data == f_waiting);
    end
  end
