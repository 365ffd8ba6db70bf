// skid: a two-entry FIFO of registers at a stream input.
// in_ready, out_valid and out_data are functions of state: in_ready = fewer than two words held, out_valid = at least one.
// Latency 1 cycle, one word a cycle. Never loses, doubles or reorders a word; out_data never changes while out_valid waits.
// rst empties it; data registers are not reset.
module skid #(
    parameter int W = 8  // bits a word
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic [W-1:0] in_data,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [W-1:0] out_data
);
  logic [1:0] count_q, count_d;
  logic [W-1:0] head_q, tail_q;
  logic push, pop;

  assign in_ready  = !count_q[1];
  assign out_valid = count_q != 2'd0;
  assign out_data  = head_q;

  assign push      = in_valid && in_ready;
  assign pop       = out_valid && out_ready;

  always_comb begin
    count_d = count_q;
    if (push && !pop) count_d = count_q + 2'd1;
    if (pop && !push) count_d = count_q - 2'd1;
  end

  always_ff @(posedge clk) begin
    if (rst) count_q <= 2'd0;
    else count_q <= count_d;
    // Words that are not valid may be loaded too: so the head's multiplexer needs one bit of state, and no handshake.
    if (out_ready || !out_valid) head_q <= count_q[1] ? tail_q : in_data;
    if (in_ready) tail_q <= in_data;
  end
endmodule
