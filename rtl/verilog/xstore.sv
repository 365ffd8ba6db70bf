// xstore: n vectors of D 32-bit elements, in groups of VEC, to super-words in memory.
// A command sends one segment {off + t * words, words} a vector and, beside it, the data words; elements beyond D are 0, all bytes
// are written. One group a cycle; a word stands at wd two cycles after its last group was accepted (input skid, word register).
module xstore #(
    parameter int W   = 128,  // bits of a super-word, a multiple of 32 * VEC
    parameter int VEC = 4,
    parameter int TW  = 1,
    parameter int D   = 64    // elements of a vector, a multiple of VEC
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              cmd_valid,
    output logic              cmd_ready,
    input  logic [      31:0] cmd_off,
    input  logic [      TW:0] cmd_n,
    input  logic              y_valid,
    output logic              y_ready,
    input  logic [32*VEC-1:0] y_data,
    output logic              wseg_valid,
    input  logic              wseg_ready,
    output logic [      31:0] wseg_off,
    output logic [      15:0] wseg_beats,
    output logic              wd_valid,
    input  logic              wd_ready,
    output logic [     W-1:0] wd_data,
    output logic [   W/8-1:0] wd_strb,
    output logic              idle      // no command, and every segment and word has been taken
);
  localparam int GB = 32 * VEC;  // bits of a group
  localparam int SUBS = W / GB;  // groups in a super-word
  localparam int SUBW = SUBS > 1 ? $clog2(SUBS) : 1;
  localparam int GROUPS = D / VEC;
  localparam int GW = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int WORDS = (D * 32 + W - 1) / W;  // super-words of a vector

  logic run, done, have, take, word_last, vector_last;
  logic [31:0] off;
  logic [TW:0] n, seg_q, tok_q;
  logic [GW-1:0] group_q;
  logic [SUBW-1:0] sub_q;
  logic [GB-1:0] group;

  skid #(
      .W(33 + TW)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid(cmd_valid),
      .in_ready(cmd_ready),
      .in_data({cmd_off, cmd_n}),
      .out_valid(run),
      .out_ready(done),
      .out_data({off, n})
  );
  skid #(
      .W(GB)
  ) u_y (
      .clk,
      .rst,
      .in_valid(y_valid),
      .in_ready(y_ready),
      .in_data(y_data),
      .out_valid(have),
      .out_ready(take),
      .out_data(group)
  );

  // Segments: one a vector, not before its first group is there: a segment without data would keep other writers out.
  logic seg_valid_q, seg_free, seg_push;
  logic [31:0] next_off_q, seg_off_q;
  assign seg_free = !seg_valid_q || wseg_ready;
  assign seg_push = run && seg_q != n && seg_free && (seg_q < tok_q || (seg_q == tok_q && have));

  // Data: word_q gathers groups; it is full while wd_valid_q.
  logic wd_valid_q, wd_free;
  logic [W-1:0] word_d, word_q;
  assign wd_free = !wd_valid_q || wd_ready;
  assign take = run && tok_q != n && have && wd_free;
  assign vector_last = group_q == GW'(GROUPS - 1);
  assign word_last = vector_last || sub_q == SUBW'(SUBS - 1);
  assign done = run && seg_q == n && tok_q == n;

  // The first group of a word clears the rest, so that padding is 0.
  for (genvar s = 0; s < SUBS; s++) begin : g_sub
    assign word_d[s*GB+:GB] = sub_q == SUBW'(s) ? group : sub_q == '0 ? '0 : word_q[s*GB+:GB];
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      seg_q <= '0;
      tok_q <= '0;
      group_q <= '0;
      sub_q <= '0;
      seg_valid_q <= 1'b0;
      wd_valid_q <= 1'b0;
    end else begin
      if (done) seg_q <= '0;
      else if (seg_push) seg_q <= seg_q + (TW + 1)'(1);
      if (done) tok_q <= '0;
      else if (take && vector_last) tok_q <= tok_q + (TW + 1)'(1);
      if (take) begin
        group_q <= vector_last ? '0 : group_q + GW'(1);
        sub_q   <= word_last ? '0 : sub_q + SUBW'(1);
      end
      if (seg_push) seg_valid_q <= 1'b1;
      else if (wseg_ready) seg_valid_q <= 1'b0;
      if (take && word_last) wd_valid_q <= 1'b1;
      else if (wd_ready) wd_valid_q <= 1'b0;
    end
    if (seg_push) begin
      seg_off_q  <= seg_q == '0 ? off : next_off_q;
      next_off_q <= (seg_q == '0 ? off : next_off_q) + 32'(WORDS);
    end
    if (take) word_q <= word_d;
  end

  assign wseg_valid = seg_valid_q;
  assign wseg_off   = seg_off_q;
  assign wseg_beats = 16'(WORDS);
  assign wd_valid   = wd_valid_q;
  assign wd_data    = word_q;
  assign wd_strb    = '1;
  assign idle       = !run && !seg_valid_q && !wd_valid_q;
endmodule
