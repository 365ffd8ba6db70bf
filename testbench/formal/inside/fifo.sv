// Put before the endmodule of fifo inside a larger proof: what its own proof needs to be inductive, and the words in order
// (entry 0 the oldest) for the parent's properties. Only for FIFOs of distributed RAM.
  logic f_started = 1'b0;
  always_ff @(posedge clk) f_started <= 1'b1;
  logic [CW:0] f_wptr;
  assign f_wptr = (CW + 1)'(rptr_q) + (CW + 1)'(count_q);
  always_comb begin
    if (f_started) begin
      assert (count_q <= CW'(DEPTH));
      assert (rptr_q <= LAST);
      assert (wptr_q == (f_wptr >= (CW + 1)'(DEPTH) ? AW'(f_wptr - (CW + 1)'(DEPTH)) : AW'(f_wptr)));
    end
  end

  logic [DEPTH*W-1:0] f_words;
  for (genvar k = 0; k < DEPTH; k++) begin : f_entry
    logic [CW:0] f_at;
    assign f_at = (CW + 1)'(rptr_q) + (CW + 1)'(k);
    assign f_words[k*W+:W] = g_distributed.mem[f_at >= (CW + 1)'(DEPTH) ? AW'(f_at - (CW + 1)'(DEPTH)) : AW'(f_at)];
  end
