// kv_pages: a page table of KV blocks, as writer and reader of the cache hold one each.
// In: pt page table writes {slot x CTX/16 + block, entry}, one taken in every cycle, an index beyond the table is dropped; slot,
// taken in a cycle with take; block of that slot. Out: its entry, in the cycle after one with re.
module kv_pages #(
    parameter int SLOTS = 1,
    parameter int CTX   = 256  // positions a slot, a multiple of 16
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        pt_valid,
    output logic        pt_ready,
    input  logic [15:0] pt_index,
    input  logic [31:0] pt_entry,
    input  logic        take,
    input  logic [ 3:0] slot,
    input  logic        re,
    input  logic [ 9:0] block,
    output logic [31:0] entry
);
  localparam int SLOT_PAGES = CTX / stream_pkg::KV_BLOCK;
  localparam int PAGES = SLOTS * SLOT_PAGES;
  localparam int DEPTH = (PAGES > 2) ? PAGES : 2;
  localparam int AW = $clog2(DEPTH);

  logic t_valid;
  logic [15:0] t_index;
  logic [31:0] t_entry;
  skid #(
      .W(48)
  ) u_pt (
      .clk,
      .rst,
      .in_valid (pt_valid),
      .in_ready (pt_ready),
      .in_data  ({pt_index, pt_entry}),
      .out_valid(t_valid),
      .out_ready(1'b1),
      .out_data ({t_index, t_entry})
  );

  logic [AW-1:0] first_q, addr;  // the slot's first page
  always_ff @(posedge clk) if (take) first_q <= AW'(32'(slot) * SLOT_PAGES);
  assign addr = first_q + AW'(block);
  wire unused = &{1'b0, slot, block};
  ram_sdp #(
      .W(32),
      .DEPTH(DEPTH)
  ) u_page (
      .clk,
      .we(t_valid && 32'(t_index) < PAGES),
      .waddr(AW'(t_index)),
      .wdata(t_entry),
      .re,
      .raddr(addr),
      .rdata(entry)
  );
endmodule
