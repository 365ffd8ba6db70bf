// attn_acc: the NW accumulators of each lane of a head. Accumulator 0, 1 … NW-1 of all lanes are used in turn, over and over.
// acc3 is the one whose turn it is; we3 writes next3 to it. Up to two a lane are registers that move on by one at we3 or skip3.
// More lie in distributed RAM: acc3 is read at stage 2 (re2, raddr2) and written at stage 3; the same one comes at most every third
// cycle, so a read never misses a write.
module attn_acc #(
    parameter int W = 46,  // bits of a word: an accumulator of every lane
    parameter int NW = 1,  // words, at most 64
    parameter int AW = 1  // bits of their index
) (
    input  logic          clk,
    input  logic          re2,
    input  logic [AW-1:0] raddr2,
    input  logic          we3,
    input  logic [AW-1:0] waddr3,
    input  logic          skip3,
    input  logic [ W-1:0] next3,
    output logic [ W-1:0] acc3
);
  if (NW <= 2) begin : g_registers
    logic [W*NW-1:0] acc_q;
    logic unused;
    if (NW == 1) begin : g_one
      always_ff @(posedge clk) if (we3) acc_q <= next3;
    end else begin : g_two
      // After skip3 (the accumulators of a finished head leave) what is moved in is never used.
      always_ff @(posedge clk) if (we3 || skip3) acc_q <= {acc_q[W-1:0], next3};
    end
    assign acc3   = acc_q[W*(NW-1)+:W];
    assign unused = ^{re2, raddr2, waddr3, skip3};
  end else begin : g_ram
    (* ram_style = "distributed", no_rw_check *)
    logic [W-1:0] mem[0:NW-1];
    logic [W-1:0] read_q;
    logic unused;
    always_ff @(posedge clk) begin
      if (we3) mem[waddr3] <= next3;
      if (re2) read_q <= mem[raddr2];
    end
    assign acc3   = read_q;
    assign unused = skip3;
  end
endmodule
