// ram_sdp: a memory of DEPTH words with one write port (an enable per slice) and one synchronous read port.
// rdata stands from the cycle after re until the next re. A word is never read in the cycle in which it is written: hardware may then
// give anything, and simulation gives the inverted old word, so that a user who relies on either is found.
// Above 64 words block RAM, else distributed RAM. No reset: a word read before it was written is undefined.
// waddr and raddr are always below DEPTH while their enable is high.
module ram_sdp #(
    parameter int W = 8,  // bits a word, a multiple of SLICES
    parameter int DEPTH = 16,  // words
    parameter int SLICES = 1  // parts of a word that are written separately
) (
    input  logic                     clk,
    input  logic [       SLICES-1:0] we,
    input  logic [$clog2(DEPTH)-1:0] waddr,
    input  logic [            W-1:0] wdata,
    input  logic                     re,
    input  logic [$clog2(DEPTH)-1:0] raddr,
    output logic [            W-1:0] rdata
);
  localparam int SW = W / SLICES;

  // One memory a slice: every tool then infers plain RAM, whatever it thinks of partial writes.
  for (genvar s = 0; s < SLICES; s++) begin : g_slice
    logic [SW-1:0] rdata_q;
    logic clash;
    assign rdata[s*SW+:SW] = rdata_q;
`ifdef SYNTHESIS
    assign clash = 1'b0;
`else
    assign clash = we[s] && waddr == raddr;
`endif

    if (DEPTH > 64) begin : g_block
      (* ram_style = "block", no_rw_check *)
      logic [SW-1:0] mem[0:DEPTH-1];
      always_ff @(posedge clk) begin
        if (we[s]) mem[waddr] <= wdata[s*SW+:SW];
        if (re) rdata_q <= mem[raddr] ^ {SW{clash}};
      end
    end else begin : g_distributed
      (* ram_style = "distributed", no_rw_check *)
      logic [SW-1:0] mem[0:DEPTH-1];
      always_ff @(posedge clk) begin
        if (we[s]) mem[waddr] <= wdata[s*SW+:SW];
        if (re) rdata_q <= mem[raddr] ^ {SW{clash}};
      end
    end
  end
endmodule
