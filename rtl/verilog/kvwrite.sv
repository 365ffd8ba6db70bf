// kvwrite: K and V vectors of a pass to the KV cache in memory and to the reader's pass buffer (docs/architecture.md, Memory).
// In: cmd {layer, slot, position of token 0, tokens}; kv: HD/VEC beats a vector, 2·HK·n vectors, codes in bytes, the scale on the
// last beat; pt: page table writes (index below SLOTS·CTX/16). Out: for each vector NW super-words (KVB-bit codes packed low first,
// zeros above) and one word with its scale, all of them to wd with byte strobes and to pb (the scale as word 127 in the low 32 bits);
// wseg: two segments a vector, {offset, NW} and {offset of the scale's super-word, 1}. idle: no command and nothing under way.
// A vector takes HD/VEC + 1 cycles; a word leaves 3 cycles after its last beat was accepted, its vector's segment 6 after the first.
// The page entry of every position written must have come on pt; pos + n <= CTX and slot < SLOTS (ctrl holds them).
module kvwrite #(
    parameter int W     = 128,
    parameter int VEC   = 4,
    parameter int KVB   = 8,
    parameter int HK    = 2,
    parameter int BATCH = 4,
    parameter int SLOTS = 1,
    parameter int CTX   = 256,  // a multiple of 16
    parameter int NW    = 4,    // words of a vector
    parameter int SW    = 8,    // words of the scales of a block
    parameter int BLOCK = 136,  // words of a block
    parameter int TW    = (BATCH > 1) ? $clog2(BATCH) : 1  // derived, not to be set
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             cmd_valid,
    output logic             cmd_ready,
    input  logic [      7:0] cmd_layer,
    input  logic [      3:0] cmd_slot,
    input  logic [     13:0] cmd_pos,
    input  logic [     TW:0] cmd_n,
    input  logic             kv_valid,
    output logic             kv_ready,
    input  logic             kv_kind,
    input  logic [      7:0] kv_head,
    input  logic [   TW-1:0] kv_token,
    input  logic [      6:0] kv_index,
    input  logic             kv_last,
    input  logic [     23:0] kv_scale,
    input  logic [8*VEC-1:0] kv_data,
    input  logic             pt_valid,
    output logic             pt_ready,
    input  logic [     15:0] pt_index,
    input  logic [     31:0] pt_entry,
    output logic             pb_valid,
    input  logic             pb_ready,
    output logic             pb_kind,
    output logic [      7:0] pb_head,
    output logic [   TW-1:0] pb_token,
    output logic [      6:0] pb_word,
    output logic [    W-1:0] pb_data,
    output logic             wseg_valid,
    input  logic             wseg_ready,
    output logic [     31:0] wseg_off,
    output logic [     15:0] wseg_beats,
    output logic             wd_valid,
    input  logic             wd_ready,
    output logic [    W-1:0] wd_data,
    output logic [  W/8-1:0] wd_strb,
    output logic             idle
);
  localparam int GROUPS = W / KVB / VEC;  // groups of VEC codes in a super-word
  localparam int GB = KVB * VEC;  // bits of a group
  localparam int GW = $clog2(GROUPS);
  localparam int LANES = W / 32;  // scales in a super-word

  // Streams.
  logic c_valid, c_take, k_valid, k_take;
  logic [7:0] c_layer;
  logic [3:0] c_slot;
  logic [13:0] c_pos;
  logic [TW:0] c_n;
  logic k_kind, k_last;
  logic [7:0] k_head;
  logic [TW-1:0] k_token;
  logic [6:0] k_index;
  logic [23:0] k_scale;
  logic [8*VEC-1:0] k_data;
  skid #(
      .W(27 + TW)
  ) u_cmd (
      .clk,
      .rst,
      .in_valid (cmd_valid),
      .in_ready (cmd_ready),
      .in_data  ({cmd_layer, cmd_slot, cmd_pos, cmd_n}),
      .out_valid(c_valid),
      .out_ready(c_take),
      .out_data ({c_layer, c_slot, c_pos, c_n})
  );
  skid #(
      .W(41 + TW + 8 * VEC)
  ) u_kv (
      .clk,
      .rst,
      .in_valid (kv_valid),
      .in_ready (kv_ready),
      .in_data  ({kv_kind, kv_head, kv_token, kv_index, kv_last, kv_scale, kv_data}),
      .out_valid(k_valid),
      .out_ready(k_take),
      .out_data ({k_kind, k_head, k_token, k_index, k_last, k_scale, k_data})
  );

  // Command: vectors that are still to come, the layer's offset within a page.
  logic active_q, done;
  logic [12:0] left_q;
  logic [13:0] pos_q;
  logic [31:0] layer_q;
  assign c_take = !active_q;
  always_ff @(posedge clk) begin
    if (rst) active_q <= 1'b0;
    else if (c_take) active_q <= c_valid;
    else if (done) active_q <= 1'b0;
    if (c_take) begin
      left_q  <= 13'(c_n) * 13'(2 * HK);
      pos_q   <= c_pos;
      layer_q <= 32'(c_layer) * 32'(HK * BLOCK);
    end else if (k_take && k_valid && k_last) begin
      left_q <= left_q - 13'd1;
    end
  end

  // A word in the making: beats go to their group of codes, the first one clears the others; after a vector's last beat the next
  // cycle puts its scale in every lane. A full word moves on to the output register.
  logic full_q, scale_turn_q, in_step, complete, move;
  logic [GW-1:0] group_q;
  logic [6:0] word_q, next_word_q;
  logic kind_q;
  logic [7:0] head_q;
  logic [TW-1:0] token_q;
  logic [23:0] scale_q;
  logic [GROUPS*GB-1:0] acc_q;
  logic [GB-1:0] codes;
  logic room, address_free;
  logic [3:0] in_block;  // position within its block
  for (genvar v = 0; v < VEC; v++) begin : g_code
    assign codes[v*KVB+:KVB] = k_data[v*8+:KVB];
  end
  if (KVB < 8) begin : g_sign
    // The upper bits of a byte repeat the code's sign.
    logic [VEC*(8-KVB)-1:0] upper;
    for (genvar v = 0; v < VEC; v++) begin : g_lane
      assign upper[v*(8-KVB)+:8-KVB] = k_data[v*8+KVB+:8-KVB];
    end
    wire unused_upper = &{1'b0, upper, 1'b0};
  end
  assign room     = !full_q || move;
  assign k_take   = active_q && left_q != '0 && room && !scale_turn_q && (k_index != '0 || address_free);
  assign in_step  = k_take && k_valid;
  assign complete = in_step && (k_last || group_q == GW'(GROUPS - 1));
  assign in_block = pos_q[3:0] + 4'(token_q);
  always_ff @(posedge clk) begin
    if (rst) begin
      full_q <= 1'b0;
      scale_turn_q <= 1'b0;
    end else begin
      if (room) full_q <= complete || scale_turn_q;
      if (in_step) scale_turn_q <= k_last;
      else if (room) scale_turn_q <= 1'b0;
    end
    if (in_step) begin
      group_q <= complete ? '0 : group_q + GW'(1);
      kind_q  <= k_kind;
      head_q  <= k_head;
      token_q <= k_token;
      scale_q <= k_scale;
      word_q  <= next_word_q;
      if (complete) next_word_q <= k_last ? '0 : next_word_q + 7'd1;
    end else if (room && scale_turn_q) begin
      word_q <= stream_pkg::SCALE_WORD;
    end
    if (c_take) begin
      group_q <= '0;
      next_word_q <= '0;
    end
  end
  for (genvar g = 0; g < GROUPS; g++) begin : g_group
    always_ff @(posedge clk) begin
      if (in_step && group_q == GW'(g)) acc_q[g*GB+:GB] <= codes;
      else if (in_step && group_q == '0) acc_q[g*GB+:GB] <= '0;
    end
  end

  // The output register: a word is gone when pb and wd both have it. Its lane of scales is known by position.
  logic pb_q, wd_q, is_scale_q, out_kind_q;
  logic [7:0] out_head_q;
  logic [TW-1:0] out_token_q;
  logic [6:0] out_word_q;
  logic [W-1:0] out_q;
  logic [4:0] out_number_q;  // of the scale in its block: 16 of K, 16 of V
  logic is_scale;
  assign is_scale = word_q == stream_pkg::SCALE_WORD;
  assign move = full_q && (!pb_q || pb_ready) && (!wd_q || wd_ready);
  always_ff @(posedge clk) begin
    if (rst) begin
      pb_q <= 1'b0;
      wd_q <= 1'b0;
    end else begin
      pb_q <= move || (pb_q && !pb_ready);
      wd_q <= move || (wd_q && !wd_ready);
    end
    if (move) begin
      out_q <= is_scale ? {LANES{8'd0, scale_q}} : W'(acc_q);
      is_scale_q <= is_scale;
      out_kind_q <= kind_q;
      out_head_q <= head_q;
      out_token_q <= token_q;
      out_word_q <= word_q;
      out_number_q <= {kind_q, in_block};
    end
  end
  assign pb_valid = pb_q;
  assign pb_kind  = out_kind_q;
  assign pb_head  = out_head_q;
  assign pb_token = out_token_q;
  assign pb_word  = out_word_q;
  assign pb_data  = out_q;
  assign wd_valid = wd_q;
  assign wd_data  = out_q;
  for (genvar l = 0; l < LANES; l++) begin : g_strobe
    assign wd_strb[4*l+:4] = {4{!is_scale_q || 32'(out_number_q) % LANES == l}};
  end

  // The vector's two segments, from its first beat on: position and head offset, page read, block, offsets, then both are offered.
  localparam logic [2:0] FREE = 3'd0, PLACE = 3'd1, PAGE = 3'd2, SUM = 3'd3, OFFSETS = 3'd4, VECTOR = 3'd5, SCALE = 3'd6;
  logic [2:0] address_q, address_d;
  logic a_kind_q;
  logic [7:0] a_head_q;
  logic [TW-1:0] a_token_q;
  logic [13:0] a_pos_q;
  logic [31:0] head_off_q, block_q, vector_q, scale_off_q, entry;
  logic [4:0] a_number;
  assign a_number = {a_kind_q, a_pos_q[3:0]};
  always_comb begin
    address_d = address_q;
    case (address_q)
      FREE: if (in_step && k_index == '0) address_d = PLACE;
      PLACE: address_d = PAGE;
      PAGE: address_d = SUM;
      SUM: address_d = OFFSETS;
      OFFSETS: address_d = VECTOR;
      VECTOR: if (wseg_ready) address_d = SCALE;
      default: if (wseg_ready) address_d = FREE;
    endcase
  end
  always_ff @(posedge clk) begin
    if (rst) address_q <= FREE;
    else address_q <= address_d;
    if (address_q == FREE) begin
      a_kind_q  <= k_kind;
      a_head_q  <= k_head;
      a_token_q <= k_token;
    end
    if (address_q == PLACE) begin
      a_pos_q <= pos_q + 14'(a_token_q);
      head_off_q <= layer_q + 32'(a_head_q) * 32'(BLOCK);
    end
    if (address_q == SUM) block_q <= entry + head_off_q;
    if (address_q == OFFSETS) begin
      vector_q <= block_q + 32'(SW) + 32'(a_number) * 32'(NW);
      scale_off_q <= block_q + 32'(a_number) / LANES;
    end
  end
  assign address_free = address_q == FREE;
  assign wseg_valid   = address_q == VECTOR || address_q == SCALE;
  assign wseg_off     = (address_q == VECTOR) ? vector_q : scale_off_q;
  assign wseg_beats   = (address_q == VECTOR) ? 16'(NW) : 16'd1;

  kv_pages #(
      .SLOTS(SLOTS),
      .CTX(CTX)
  ) u_pages (
      .clk,
      .rst,
      .pt_valid,
      .pt_ready,
      .pt_index,
      .pt_entry,
      .take(c_take),
      .slot(c_slot),
      .re(address_q == PAGE),
      .block(a_pos_q[13:4]),
      .entry
  );

  assign done = left_q == '0 && !full_q && !scale_turn_q && !pb_q && !wd_q && address_free;
  assign idle = !active_q && !c_valid && !k_valid;
endmodule
