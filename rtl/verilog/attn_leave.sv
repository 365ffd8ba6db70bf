// attn_leave: the accumulators of a finished head leave, VEC a beat: query head of the group, word, beat of the word.
// start comes with the last write to them, and they stand still until done, the move of the last beat to the output register.
// acc is the word of every head whose turn it is: skip moves the registers of attn_acc on, or read with word reads their memory.
module attn_leave #(
    parameter int G = 1,
    parameter int VEC = 1,
    parameter int NW = 1,  // words a vector
    parameter int LW = 16,  // lanes: accumulators in a full word, a multiple of VEC
    parameter int TAIL = 16,  // in a vector's last one
    parameter int AW = 1,
    parameter int ACC = 46  // bits of an accumulator
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                start,
    output logic                done,
    output logic                read,
    output logic [      AW-1:0] word,
    output logic [       G-1:0] skip,
    input  logic [ACC*G*LW-1:0] acc,
    output logic                acc_valid,
    input  logic                acc_ready,
    output logic [  48*VEC-1:0] acc_data
);
  localparam int LB = LW / VEC;  // beats of a full word
  localparam int TB = TAIL / VEC;  // and of the last one
  localparam int BW = LB < 2 ? 1 : $clog2(LB);
  localparam int GW = G < 2 ? 1 : $clog2(G);

  logic leave_q, have_q, out_room, move, last_w, word_end;
  logic [GW-1:0] g_q;
  logic [AW-1:0] w_q;
  logic [BW-1:0] b_q;

  assign last_w   = w_q == AW'(NW - 1);
  assign move     = leave_q && have_q && out_room;
  assign word_end = b_q == (last_w ? BW'(TB - 1) : BW'(LB - 1));
  assign done     = move && word_end && last_w && g_q == GW'(G - 1);
  // The next word is read in the cycle in which the last beat of this one moves. (With NW = 1 it stands already in registers.)
  assign read     = leave_q && (!have_q || (move && word_end));
  assign word     = !have_q ? w_q : last_w ? '0 : w_q + AW'(1);

  always_ff @(posedge clk) begin
    if (rst) leave_q <= 1'b0;
    else leave_q <= start || (leave_q && !done);
    if (!leave_q) begin
      have_q <= NW == 1;
      g_q    <= '0;
      w_q    <= '0;
      b_q    <= '0;
    end else begin
      have_q <= 1'b1;
      if (move) begin
        b_q <= word_end ? '0 : b_q + BW'(1);
        if (word_end) begin
          w_q <= last_w ? '0 : w_q + AW'(1);
          if (last_w) g_q <= g_q + GW'(1);
        end
      end
    end
  end

  for (genvar g = 0; g < G; g++) begin : g_skip
    assign skip[g] = move && word_end && g_q == GW'(g);
  end

  // ---- the beat: of head g, beat b of the word
  localparam int BEAT = ACC * VEC;
  localparam int CW = G < 2 ? BW : GW + BW;  // bits of a choice
  logic [BEAT*G*2**BW-1:0] beats;
  logic [GW+BW-1:0] choice;
  logic [BEAT-1:0] beat;
  logic [48*VEC-1:0] wide;

  for (genvar g = 0; g < G; g++) begin : g_head
    for (genvar b = 0; b < 2 ** BW; b++) begin : g_beat
      if (b < LB) begin : g_used
        assign beats[BEAT*(g*2**BW+b)+:BEAT] = acc[BEAT*(g*LB+b)+:BEAT];
      end else begin : g_none
        assign beats[BEAT*(g*2**BW+b)+:BEAT] = '0;
      end
    end
  end

  assign choice = {g_q, b_q};
  word_mux #(
      .W (BEAT),
      .N (G * 2 ** BW),
      .SW(CW)
  ) u_beat (
      .in (beats),
      .sel(choice[CW-1:0]),
      .out(beat)
  );
  for (genvar v = 0; v < VEC; v++) begin : g_element
    assign wide[48*v+:48] = 48'($signed(beat[ACC*v+:ACC]));
  end

  skid #(
      .W(48 * VEC)
  ) u_acc (
      .clk,
      .rst,
      .in_valid (leave_q && have_q),
      .in_ready (out_room),
      .in_data  (wide),
      .out_valid(acc_valid),
      .out_ready(acc_ready),
      .out_data (acc_data)
  );

  logic unused;
  assign unused = ^choice;
endmodule
