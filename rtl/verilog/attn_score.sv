// attn_score: the scores of a block, with their scales, leave through a fifo of a block's 16 places.
// scale_we keeps the scales that super-word scale_word of a block holds: 16 of K, then 16 of V, 32 bits each. They stand until the
// last score of the block is in the fifo. in_valid puts the dot products of position in_pos into it; it always has room.
module attn_score #(
    parameter int G = 1,
    parameter int W = 128
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            scale_we,
    input  logic [     4:0] scale_word,
    input  logic [   W-1:0] scale_data,
    input  logic            in_valid,
    input  logic [     3:0] in_pos,
    input  logic [22*G-1:0] in_dot,
    input  logic [24*G-1:0] in_sq,
    input  logic            in_first,
    input  logic            in_last,
    output logic            score_valid,
    input  logic            score_ready,
    output logic [22*G-1:0] score_dot,
    output logic [24*G-1:0] score_sq,
    output logic [    23:0] score_sk,
    output logic [    23:0] score_sv,
    output logic            score_first,
    output logic            score_last
);
  logic [24*32-1:0] scales_q;
  logic [23:0] sk, sv;
  logic room;
  logic [4:0] count;

  for (genvar s = 0; s < 32; s++) begin : g_scale
    always_ff @(posedge clk) begin
      if (scale_we && scale_word == 5'(s * 32 / W)) scales_q[24*s+:24] <= scale_data[s*32%W+:24];
    end
  end

  word_mux #(
      .W (24),
      .N (stream_pkg::KV_BLOCK),
      .SW(4)
  ) u_sk (
      .in (scales_q[24*stream_pkg::KV_BLOCK-1:0]),
      .sel(in_pos),
      .out(sk)
  );
  word_mux #(
      .W (24),
      .N (stream_pkg::KV_BLOCK),
      .SW(4)
  ) u_sv (
      .in (scales_q[24*stream_pkg::KV_BLOCK+:24*stream_pkg::KV_BLOCK]),
      .sel(in_pos),
      .out(sv)
  );

  fifo #(
      .W(46 * G + 50),
      .DEPTH(stream_pkg::KV_BLOCK)
  ) u_score (
      .clk,
      .rst,
      .in_valid,
      .in_ready(room),
      .in_data({in_dot, in_sq, sk, sv, in_first, in_last}),
      .out_valid(score_valid),
      .out_ready(score_ready),
      .out_data({score_dot, score_sq, score_sk, score_sv, score_first, score_last}),
      .count
  );

  logic unused;
  assign unused = ^{room, count, scale_data};
endmodule
