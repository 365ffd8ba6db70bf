// Properties of axi_write, put before its endmodule by testbench/src/harness/formal.rs; the ports are testbench/formal/stub/.
// A peer is late in a cycle in which axi_write waits for it: a port does not take the segment or the word that all others take too; the
// client whose segment was granted does not bring its data.
// Assumed: no peer is late for more than m cycles on end while nothing moves.
// Held: while a segment waits or is under way, something moves every m + F_BOUND cycles; a granted segment has exactly its words, all of the
// same client's; b is granted only when a does not ask; only the granted client's data make it wait.
  localparam int F_BOUND = `F_BOUND;  // spec/src/block/axi.rs, join_bound(0)
  logic f_wants;
  assign f_wants = as_valid || bs_valid;
  localparam int F_SEG = 0, F_DATA = 1, F_CLIENT = 2, F_PEERS = 3;
  logic [F_PEERS-1:0] f_asked, f_answer;
  assign f_asked[F_SEG]     = f_wants && (!busy_q || ends);
  assign f_answer[F_SEG]    = &p_seg_ready;
  assign f_asked[F_DATA]    = d_valid;
  assign f_answer[F_DATA]   = &p_d_ready;
  assign f_asked[F_CLIENT]  = busy_q && !d_valid;
  assign f_answer[F_CLIENT] = sel_q ? bd_valid : ad_valid;
  logic f_moved;
  logic [3:0] f_own;
  assign f_moved = grant || move || (aseg_valid && aseg_ready) || (bseg_valid && bseg_ready) || (ad_valid && ad_ready)
      || (bd_valid && bd_ready);
  f_patience #(
      .PEERS(F_PEERS),
      .BOUND(F_BOUND)
  ) u_patience (
      .clk,
      .rst,
      .still ((f_wants || busy_q) && !f_moved),
      .asked (f_asked),
      .answer(f_answer),
      .own   (f_own)
  );

  logic f_started = 1'b0;
  logic [15:0] f_words;  // that the granted segment still lacks
  logic f_b;  // whose it is
  always_ff @(posedge clk) begin
    f_started <= 1'b1;
    if (rst) f_words <= 16'd0;
    else if (grant) f_words <= as_valid ? as_beats : bs_beats;
    else if (move) f_words <= f_words - 16'd1;
    if (grant) f_b <= !as_valid;
  end
  always_comb begin
    if (!f_started) assume (rst);
    if (f_started) begin
      assert (busy_q == (f_words != 16'd0));
      if (busy_q) assert (left_q == f_words && sel_q == f_b);
      if (grant) assert (f_words <= 16'd1 && (f_words == 16'd0 || move));
      if (grant && bs_valid && bs_ready) assert (!as_valid);
      if (move) assert ((ar && av) != (br && bv));
    end
  end
