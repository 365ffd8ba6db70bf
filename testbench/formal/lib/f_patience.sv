// f_patience: how long a block goes without a movement, for peers that answer within m cycles; used by the properties of a block.
// asked: the block waits for the peer; answer: the peer answers. A peer that is asked and does not answer is late.
// still: the block has work and nothing moves in this cycle; an answer to what is asked must be a movement.
// Assumed: no peer is late for more than m cycles on end while nothing moves.
// Held: fewer than m + BOUND cycles on end pass without a movement, m any number. waited of them somebody was late, own nobody was. Once
// somebody is late, he is until something moves: so the wait is one peer's, and on end.
module f_patience #(
    parameter int PEERS = 1,
    parameter int BOUND = 1
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             still,
    input  logic [PEERS-1:0] asked,
    input  logic [PEERS-1:0] answer,
    output logic [      3:0] own
);
`ifdef F_WAIT
  logic [31:0] m;
  assign m = 32'(`F_WAIT);
`else
  (* anyconst *) logic [31:0] m;
`endif
  logic started = 1'b0;
  logic rest;
  logic [31:0] waited;
  logic [PEERS-1:0] late, first;  // first: late in all cycles in which somebody was
  assign late = asked & ~answer;
  assign rest = rst || !still;
  always_ff @(posedge clk) begin
    started <= 1'b1;
    waited  <= rest ? '0 : waited + 32'(|late);
    own     <= rest ? '0 : own + 4'(late == '0);
    first   <= rest || (waited == '0 && late == '0) ? '1 : first & late;
  end
  always_comb begin
    assume (!m[31]);
    if (waited == m) assume ((first & late) == '0);
    if (started) begin
      assert (waited + 32'(own) < m + 32'(BOUND));
`ifndef F_BOUND_ONLY
      assert (waited <= m && 32'(own) < 32'(BOUND));
      assert (waited == '0 ? first == '1 : (first & asked) != '0);
      if (still) assert ((asked & answer) == '0);
`endif
    end
  end
endmodule
