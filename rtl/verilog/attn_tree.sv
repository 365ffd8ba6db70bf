// attn_tree: sum of N signed products of W bits in 22 bits, four operands a stage, STAGES = ceil(log4(N)) cycles, one a cycle.
module attn_tree #(
    parameter int N = 16,
    parameter int W = 16,  // at most 22
    parameter int STAGES = 2  // 4**STAGES >= N
) (
    input  logic           clk,
    input  logic [W*N-1:0] in,
    output logic [   21:0] sum
);
  // Nodes as a heap: node j is the registered sum of nodes 4j+1 to 4j+4; those from NODES on are the inputs, zeros above N.
  localparam int NODES = (4 ** STAGES - 1) / 3;
  localparam int ALL = NODES + 4 ** STAGES;

  logic [22*ALL-1:0] node;

  for (genvar i = 0; i < 4 ** STAGES; i++) begin : g_in
    if (i < N) begin : g_used
      assign node[22*(NODES+i)+:22] = 22'($signed(in[W*i+:W]));
    end else begin : g_zero
      assign node[22*(NODES+i)+:22] = '0;
    end
  end

  // A sum is one bit wider than its operands, as far as 22. The operands are cut from sign-extended nodes: yosys would make one adder
  // of four operands from three signed ones, with carry-save stages that take twice the LUTs.
  for (genvar d = 0; d < STAGES; d++) begin : g_depth
    localparam int IN = W + 2 * (STAGES - 1 - d);
    localparam int PAIR = IN + 1 < 22 ? IN + 1 : 22;
    localparam int FOUR = IN + 2 < 22 ? IN + 2 : 22;
    for (genvar j = (4 ** d - 1) / 3; j < (4 ** (d + 1) - 1) / 3; j++) begin : g_node
      logic [PAIR-1:0] low, high;
      logic [21:0] low_wide, high_wide;
      logic [FOUR-1:0] sum_q;
      assign low       = node[22*(4*j+1)+:PAIR] + node[22*(4*j+2)+:PAIR];
      assign high      = node[22*(4*j+3)+:PAIR] + node[22*(4*j+4)+:PAIR];
      assign low_wide  = 22'($signed(low));
      assign high_wide = 22'($signed(high));
      always_ff @(posedge clk) sum_q <= low_wide[FOUR-1:0] + high_wide[FOUR-1:0];
      assign node[22*j+:22] = 22'($signed(sum_q));
      logic unused;
      assign unused = ^{low_wide, high_wide};
    end
  end
  assign sum = node[21:0];

  logic unused;
  assign unused = ^node;
endmodule
