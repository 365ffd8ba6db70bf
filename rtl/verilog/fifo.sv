// fifo: a first-in first-out store of DEPTH words, any DEPTH of at least 2.
// in_ready = count < DEPTH; out_valid, out_data and count are functions of state. count includes every word held.
// Up to 64 words: distributed RAM, latency 1. Above: block RAM whose read register is the output (first word falls through),
// latency 2. One word a cycle in both. Never loses, doubles or reorders a word; out_data never changes while out_valid waits.
// rst empties it; the memory is not reset.
module fifo #(
    parameter int W = 8,  // bits a word
    parameter int DEPTH = 16  // words
) (
    input  logic                         clk,
    input  logic                         rst,
    input  logic                         in_valid,
    output logic                         in_ready,
    input  logic [              W-1:0]   in_data,
    output logic                         out_valid,
    input  logic                         out_ready,
    output logic [              W-1:0]   out_data,
    output logic [$clog2(DEPTH+1)-1:0] count
);
  localparam int AW = $clog2(DEPTH);
  localparam int CW = $clog2(DEPTH + 1);
  localparam logic [AW-1:0] LAST = AW'(DEPTH - 1);

  logic [AW-1:0] wptr_q, rptr_q;
  logic [CW-1:0] count_q, count_d;
  logic push, pop, fetch;

  assign in_ready = count_q != CW'(DEPTH);
  assign count    = count_q;
  assign push     = in_valid && in_ready;
  assign pop      = out_valid && out_ready;

  always_comb begin
    count_d = count_q;
    if (push && !pop) count_d = count_q + CW'(1);
    if (pop && !push) count_d = count_q - CW'(1);
  end

  // fetch: the oldest word of the memory leaves it in this cycle.
  always_ff @(posedge clk) begin
    if (rst) begin
      count_q <= '0;
      wptr_q  <= '0;
      rptr_q  <= '0;
    end else begin
      count_q <= count_d;
      if (push) wptr_q <= wptr_q == LAST ? '0 : wptr_q + AW'(1);
      if (fetch) rptr_q <= rptr_q == LAST ? '0 : rptr_q + AW'(1);
    end
  end

  if (DEPTH > 64) begin : g_block
    // A fetched word was written in an earlier cycle (proven), so no logic for reading what is being written is needed.
    (* ram_style = "block", no_rw_check *)
    logic [W-1:0] mem[0:DEPTH-1];
    logic [W-1:0] data_q;
    logic full_q;  // data_q holds a word
    logic stored;  // the memory holds a word besides the one in data_q

    assign stored    = count_q != CW'(full_q);
    assign fetch     = stored && (!full_q || out_ready);
    assign out_valid = full_q;
    assign out_data  = data_q;

    always_ff @(posedge clk) begin
      if (push) mem[wptr_q] <= in_data;
      if (fetch) data_q <= mem[rptr_q];
    end

    always_ff @(posedge clk) begin
      if (rst) full_q <= 1'b0;
      else full_q <= fetch || (full_q && !out_ready);
    end
  end else begin : g_distributed
    (* ram_style = "distributed" *)
    logic [W-1:0] mem[0:DEPTH-1];

    assign fetch     = pop;
    assign out_valid = count_q != '0;
    assign out_data  = mem[rptr_q];

    always_ff @(posedge clk) begin
      if (push) mem[wptr_q] <= in_data;
    end
  end
endmodule
