// xload: vectors of D 32-bit elements from super-words to groups of VEC elements, each group to both outputs.
// A command takes n vectors; what is left of a vector's last super-word is dropped. One group a cycle.
// Latency from an accepted super-word to its first group: 2 cycles (input skid, output skid).
module xload #(
    parameter int W   = 128,  // bits of a super-word, a multiple of 32 * VEC
    parameter int VEC = 4,
    parameter int TW  = 1,
    parameter int D   = 64    // elements of a vector, a multiple of VEC
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              cmd_valid,
    output logic              cmd_ready,
    input  logic [      TW:0] cmd_n,
    input  logic              in_valid,
    output logic              in_ready,
    input  logic [     W-1:0] in_data,
    output logic              xn_valid,
    input  logic              xn_ready,
    output logic [32*VEC-1:0] xn_data,
    output logic              xr_valid,
    input  logic              xr_ready,
    output logic [32*VEC-1:0] xr_data
);
  localparam int SUBS = W / (32 * VEC);  // groups in a super-word
  localparam int SUBW = SUBS > 1 ? $clog2(SUBS) : 1;
  localparam int GROUPS = D / VEC;
  localparam int GW = GROUPS > 1 ? $clog2(GROUPS) : 1;

  logic run, done, have, take, word_last, vector_last, xn_free, xr_free;
  logic [TW:0] n, tok_q;
  logic [GW-1:0] group_q;
  logic [SUBW-1:0] sub_q;
  logic [W-1:0] word;

  // The command stands at the head of its skid until its last group has gone.
  skid #(
      .W(TW + 1)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid(cmd_valid),
      .in_ready(cmd_ready),
      .in_data(cmd_n),
      .out_valid(run),
      .out_ready(done),
      .out_data(n)
  );
  skid #(
      .W(W)
  ) u_in (
      .clk,
      .rst,
      .in_valid,
      .in_ready,
      .in_data,
      .out_valid(have),
      .out_ready(take && word_last),
      .out_data(word)
  );

  assign take = run && have && xn_free && xr_free;
  assign vector_last = group_q == GW'(GROUPS - 1);
  assign word_last = vector_last || sub_q == SUBW'(SUBS - 1);
  assign done = take && vector_last && tok_q + (TW + 1)'(1) == n;

  always_ff @(posedge clk) begin
    if (rst) begin
      tok_q   <= '0;
      group_q <= '0;
      sub_q   <= '0;
    end else if (take) begin
      sub_q   <= word_last ? '0 : sub_q + SUBW'(1);
      group_q <= vector_last ? '0 : group_q + GW'(1);
      if (done) tok_q <= '0;
      else if (vector_last) tok_q <= tok_q + (TW + 1)'(1);
    end
  end

  wire [W-1:0] shifted = word >> (32 * VEC * sub_q);
  if (SUBS > 1) begin : g_rest
    wire unused_rest = &{1'b0, shifted[W-1:32*VEC], 1'b0};
  end

  // A skid at each output decouples the two readers by two groups.
  skid #(
      .W(32 * VEC)
  ) u_xn (
      .clk,
      .rst,
      .in_valid(take),
      .in_ready(xn_free),
      .in_data(shifted[32*VEC-1:0]),
      .out_valid(xn_valid),
      .out_ready(xn_ready),
      .out_data(xn_data)
  );
  skid #(
      .W(32 * VEC)
  ) u_xr (
      .clk,
      .rst,
      .in_valid(take),
      .in_ready(xr_free),
      .in_data(shifted[32*VEC-1:0]),
      .out_valid(xr_valid),
      .out_ready(xr_ready),
      .out_data(xr_data)
  );
endmodule
