// attn_tree: sum of N signed products of 16 bits in 22 bits, four operands a stage, STAGES = ceil(log4(N)) cycles, one a cycle.
module attn_tree #(
    parameter int N = 16,
    parameter int STAGES = 2  // 4**STAGES >= N
) (
    input  logic            clk,
    input  logic [16*N-1:0] in,
    output logic [    21:0] sum
);
  // Nodes as a heap: node j is the registered sum of nodes 4j+1 to 4j+4; those from NODES on are the inputs, zeros above N.
  localparam int NODES = (4 ** STAGES - 1) / 3;
  localparam int ALL = NODES + 4 ** STAGES;

  logic [22*ALL-1:0] node;

  for (genvar i = 0; i < 4 ** STAGES; i++) begin : g_in
    if (i < N) begin : g_used
      assign node[22*(NODES+i)+:22] = {{6{in[16*i+15]}}, in[16*i+:16]};
    end else begin : g_zero
      assign node[22*(NODES+i)+:22] = '0;
    end
  end

  for (genvar j = 0; j < NODES; j++) begin : g_node
    logic [21:0] sum_q;
    always_ff @(posedge clk) begin
      sum_q <= (node[22*(4*j+1)+:22] + node[22*(4*j+2)+:22]) + (node[22*(4*j+3)+:22] + node[22*(4*j+4)+:22]);
    end
    assign node[22*j+:22] = sum_q;
  end
  assign sum = node[21:0];
endmodule
