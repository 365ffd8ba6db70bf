// Properties of fifo, put before its endmodule by testbench/src/harness/formal.rs.
// One word, picked at any push by the solver (f_pick), is followed: it must leave exactly when the words in front of it have
// left, with its own data. Since every word may be the picked one, none is lost, doubled, altered or overtaken.
  (* anyseq *) logic f_pick;
  logic f_started = 1'b0;
  logic f_tracked = 1'b0;  // the picked word is inside
  logic [CW-1:0] f_ahead;  // words in front of it
  logic [W-1:0] f_data;
  logic f_waits = 1'b0;  // a valid word was not taken in the last cycle
  logic [W-1:0] f_waiting;

  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    if (rst) f_tracked <= 1'b0;
    else if (f_tracked) begin
      if (pop && f_ahead == '0) f_tracked <= 1'b0;
      else if (pop) f_ahead <= f_ahead - CW'(1);
    end else if (push && f_pick) begin
      f_tracked <= 1'b1;
      f_ahead   <= count_q - CW'(pop);
      f_data    <= in_data;
    end
    f_waits   <= out_valid && !out_ready && !rst;
    f_waiting <= out_data;
  end

  // Words in the memory, and the place of the followed one there, counted from rptr_q.
  logic f_fetched;
  logic [CW-1:0] f_stored, f_place;
  logic [CW:0] f_wptr, f_address;
  assign f_stored = count_q - CW'(f_fetched);
  assign f_place  = f_ahead - CW'(f_fetched);
  assign f_wptr   = (CW + 1)'(rptr_q) + (CW + 1)'(f_stored);
  assign f_address = (CW + 1)'(rptr_q) + (CW + 1)'(f_place);
  logic [AW-1:0] f_wptr_wrapped, f_address_wrapped;
  assign f_wptr_wrapped = f_wptr >= (CW + 1)'(DEPTH) ? AW'(f_wptr - (CW + 1)'(DEPTH)) : AW'(f_wptr);
  assign f_address_wrapped = f_address >= (CW + 1)'(DEPTH) ? AW'(f_address - (CW + 1)'(DEPTH)) : AW'(f_address);
  logic [W-1:0] f_stored_word;  // what the memory holds at that place
  if (DEPTH > 64) begin : f_block
    assign f_fetched = g_block.full_q;
    assign f_stored_word = g_block.mem[f_address_wrapped];
  end else begin : f_distributed
    assign f_fetched = 1'b0;
    assign f_stored_word = g_distributed.mem[f_address_wrapped];
  end

  always_comb begin
    if (!f_started) assume (rst);
    if (f_started) begin
      assert (count_q <= CW'(DEPTH));
      assert (CW'(f_fetched) <= count_q);
      assert (rptr_q <= LAST);
      assert (wptr_q == f_wptr_wrapped);
      assert (in_ready == (count_q < CW'(DEPTH)));
      assert (count == count_q);
      if (f_tracked) begin
        assert (f_ahead < count_q);
        if (f_fetched && f_ahead == '0) assert (out_valid && out_data == f_data);
        else assert (f_stored_word == f_data);
      end
      // No word is fetched in the cycle in which it is written.
      if (push && fetch && DEPTH > 64) assert (wptr_q != rptr_q);
      if (f_waits) assert (out_valid && out_data == f_waiting);
    end
  end
