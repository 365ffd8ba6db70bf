// kvread: the KV blocks of a pass in the order of attention (docs/architecture.md, Memory and Blocks).
// In: cmd {layer, slot, position of token 0, tokens}; pb: the pass's vectors and scales from kvwrite; in: super-words of the segments
// asked for; pt: page table writes. Out: kseg {offset, super-words, dest 2}; kv: for each token t and KV head the blocks of positions
// 0..pos-1 from memory, then one block of positions pos..pos+t from the pass buffer. A block: header (kind 0; data[4:0] positions,
// bit 5 first of the head, bit 6 last), SW words of scales (1), K words (2), V words (3).
// Segments are asked for as early as kseg takes them, one after the other (a full block is one, a partial one scales + K and then V);
// the first is offered 4 cycles after cmd was accepted, the next block's 3 after. A word leaves 2 cycles after it was accepted on
// in, a word a cycle. The pass buffer's first block starts once all 2·HK·n scales, each the last word of its vector, have come.
// The page entry of every block read must have come on pt; pos + n <= CTX and slot < SLOTS (ctrl holds them).
module kvread #(
    parameter int W     = 128,
    parameter int HK    = 2,
    parameter int BATCH = 4,
    parameter int SLOTS = 1,
    parameter int CTX   = 256,  // a multiple of 16
    parameter int NW    = 4,    // words of a vector
    parameter int SW    = 8,    // words of the scales of a block
    parameter int BLOCK = 136,  // words of a block
    parameter int TW    = (BATCH > 1) ? $clog2(BATCH) : 1  // derived, not to be set
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          cmd_valid,
    output logic          cmd_ready,
    input  logic [   7:0] cmd_layer,
    input  logic [   3:0] cmd_slot,
    input  logic [  13:0] cmd_pos,
    input  logic [  TW:0] cmd_n,
    input  logic          pb_valid,
    output logic          pb_ready,
    input  logic          pb_kind,
    input  logic [   7:0] pb_head,
    input  logic [TW-1:0] pb_token,
    input  logic [   6:0] pb_word,
    input  logic [ W-1:0] pb_data,
    input  logic          in_valid,
    output logic          in_ready,
    input  logic [ W-1:0] in_data,
    input  logic          pt_valid,
    output logic          pt_ready,
    input  logic [  15:0] pt_index,
    input  logic [  31:0] pt_entry,
    output logic          kseg_valid,
    input  logic          kseg_ready,
    output logic [  31:0] kseg_off,
    output logic [  31:0] kseg_beats,
    output logic [   1:0] kseg_dest,
    output logic          kv_valid,
    input  logic          kv_ready,
    output logic [   1:0] kv_kind,
    output logic [ W-1:0] kv_data
);
  localparam int LANES = W / 32;  // scales in a super-word
  localparam int ROW = BATCH * NW;  // words of one kind and head in the pass buffer
  localparam int WORDS = 2 * HK * ROW;
  localparam int AW = $clog2(WORDS);
  localparam int SCALES = (HK * SW > 2) ? HK * SW : 2;
  localparam int SA = $clog2(SCALES);
  localparam int CW = $clog2(16 * NW + SW + 1);  // counts the words of a part of a block

  // Streams.
  logic c_valid, c_take, p_valid, p_take, d_valid, d_take;
  logic [7:0] c_layer;
  logic [3:0] c_slot;
  logic [13:0] c_pos;
  logic [TW:0] c_n;
  logic p_kind;
  logic [7:0] p_head;
  logic [TW-1:0] p_token;
  logic [6:0] p_word;
  logic [W-1:0] p_data, d_data;
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
      .W(16 + TW + W)
  ) u_pb (
      .clk,
      .rst,
      .in_valid (pb_valid),
      .in_ready (pb_ready),
      .in_data  ({pb_kind, pb_head, pb_token, pb_word, pb_data}),
      .out_valid(p_valid),
      .out_ready(p_take),
      .out_data ({p_kind, p_head, p_token, p_word, p_data})
  );
  skid #(
      .W(W)
  ) u_in (
      .clk,
      .rst,
      .in_valid,
      .in_ready,
      .in_data,
      .out_valid(d_valid),
      .out_ready(d_take),
      .out_data (d_data)
  );

  // Command: memory blocks a head, positions of the last one, the layer's offset within a page.
  logic active_q, finished;
  logic [TW:0] n_q;
  logic [9:0] blocks_q;
  logic [4:0] tail_q;
  logic [31:0] layer_q;
  assign c_take  = !active_q || finished;
  always_ff @(posedge clk) begin
    if (rst) active_q <= 1'b0;
    else if (c_take) active_q <= c_valid;
    if (c_take) begin
      n_q <= c_n;
      blocks_q <= c_pos[13:4] + 10'(c_pos[3:0] != 4'd0);
      tail_q <= (c_pos[3:0] == 4'd0) ? 5'd16 : {1'b0, c_pos[3:0]};
      layer_q <= 32'(c_layer) * 32'(HK * BLOCK);
    end
  end

  // Segments: for each block page read, sum, then one or two offers.
  localparam logic [2:0] IDLE = 3'd0, PAGE = 3'd1, SUM = 3'd2, FIRST = 3'd3, SECOND = 3'd4;
  logic [2:0] seg_q, seg_d;
  logic [9:0] seg_b_q;
  logic [8:0] seg_head_q;
  logic [TW:0] seg_t_q;
  logic [31:0] head_off_q, off_q, entry;
  logic seg_last_b, seg_last_head, seg_last_t, seg_next, seg_partial;
  logic [4:0] seg_count;
  assign seg_last_b    = seg_b_q + 10'd1 == blocks_q;
  assign seg_last_head = seg_last_b && seg_head_q == 9'(HK - 1);
  assign seg_last_t    = seg_last_head && seg_t_q + (TW + 1)'(1) == n_q;
  assign seg_count     = seg_last_b ? tail_q : 5'd16;
  assign seg_partial   = !seg_count[4];
  assign seg_next      = kseg_ready && (seg_q == SECOND || (seg_q == FIRST && !seg_partial));
  always_comb begin
    seg_d = seg_q;
    case (seg_q)
      PAGE: seg_d = SUM;
      SUM: seg_d = FIRST;
      FIRST: if (kseg_ready) seg_d = seg_partial ? SECOND : seg_last_t ? IDLE : PAGE;
      SECOND: if (kseg_ready) seg_d = seg_last_t ? IDLE : PAGE;
      default: ;
    endcase
    if (c_take) seg_d = (c_valid && c_pos != 14'd0) ? PAGE : IDLE;
  end
  always_ff @(posedge clk) begin
    if (rst) seg_q <= IDLE;
    else seg_q <= seg_d;
    if (c_take) begin
      seg_b_q <= '0;
      seg_head_q <= '0;
      seg_t_q <= '0;
      head_off_q <= 32'(c_layer) * 32'(HK * BLOCK);
    end else if (seg_next) begin
      seg_b_q <= seg_last_b ? '0 : seg_b_q + 10'd1;
      if (seg_last_b) begin
        seg_head_q <= seg_last_head ? '0 : seg_head_q + 9'd1;
        head_off_q <= seg_last_head ? layer_q : head_off_q + 32'(BLOCK);
      end
      if (seg_last_head) seg_t_q <= seg_t_q + (TW + 1)'(1);
    end
    if (seg_q == SUM) off_q <= entry + head_off_q;
    else if (seg_q == FIRST && kseg_ready) off_q <= off_q + 32'(SW + 16 * NW);
  end
  assign kseg_valid = seg_q == FIRST || seg_q == SECOND;
  assign kseg_off   = off_q;
  assign kseg_beats = (seg_q == SECOND) ? 32'(seg_count) * NW : seg_partial ? 32'(seg_count) * NW + SW : 32'(BLOCK);
  assign kseg_dest  = stream_pkg::AUX_KV;

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
      .re(seg_q == PAGE),
      .block(seg_b_q),
      .entry
  );

  // Pass buffer: word address in two stages, then written. It is complete when nothing is on the way any more.
  logic [12:0] missing_q;  // scales
  logic w1_q, w2_q, scale1_q, scale2_q, complete;
  logic [AW-1:0] row1_q, in_row1_q, waddr2_q;
  logic [SA-1:0] saddr1_q, saddr2_q;
  logic [LANES-1:0] lane1_q, lane2_q;
  logic [W-1:0] data1_q, data2_q;
  logic [4:0] p_number;
  assign p_number = {p_kind, 4'(p_token)};
  assign p_take   = active_q && missing_q != '0;
  assign complete = missing_q == '0 && !w1_q && !w2_q;
  always_ff @(posedge clk) begin
    if (rst) begin
      w1_q <= 1'b0;
      w2_q <= 1'b0;
    end else begin
      w1_q <= p_take && p_valid;
      w2_q <= w1_q;
    end
    if (c_take) missing_q <= 13'(c_n) * 13'(2 * HK);
    else if (p_take && p_valid && p_word == stream_pkg::SCALE_WORD) missing_q <= missing_q - 13'd1;
    scale1_q <= p_word == stream_pkg::SCALE_WORD;
    row1_q <= AW'((32'(p_head) + (p_kind ? HK : 0)) * ROW);
    in_row1_q <= AW'(32'(p_token) * NW + 32'(p_word));
    saddr1_q <= SA'(32'(p_head) * SW + 32'(p_number) / LANES);
    data1_q <= p_data;
    scale2_q <= scale1_q;
    waddr2_q <= row1_q + in_row1_q;
    saddr2_q <= saddr1_q;
    lane2_q <= lane1_q;
    data2_q <= data1_q;
  end
  for (genvar l = 0; l < LANES; l++) begin : g_lane
    always_ff @(posedge clk) lane1_q[l] <= 32'(p_number) % LANES == l;
  end

  // Blocks out: head of token t, block b (memory below blocks_q, then the pass buffer), part of the block, words left of the part.
  localparam logic [1:0] HEADER = stream_pkg::KIND_HEADER, SCALE = stream_pkg::KIND_SCALES, KEYS = stream_pkg::KIND_K,
      VALUES = stream_pkg::KIND_V;
  logic en, step, memory, last_t, last_head, last_word;
  logic [1:0] part_q;
  logic [9:0] b_q;
  logic [8:0] head_q;
  logic [TW:0] t_q;
  logic [4:0] count;
  logic [CW-1:0] word_q, words;
  logic [AW-1:0] key_q, raddr_q;  // of the head's K in the pass buffer, of the next word
  logic [SA-1:0] scale_row_q, scale_addr_q;
  assign memory    = b_q != blocks_q;
  assign count     = !memory ? 5'(t_q) + 5'd1 : (b_q + 10'd1 == blocks_q) ? tail_q : 5'd16;
  assign words     = (part_q == SCALE) ? CW'(SW) : CW'(32'(count) * NW);
  assign last_word = word_q + CW'(1) == words;
  assign last_head = !memory && head_q == 9'(HK - 1);
  assign last_t    = last_head && t_q + (TW + 1)'(1) == n_q;
  assign step      = active_q && (memory ? (part_q == HEADER || d_valid) : complete);
  assign d_take    = en && active_q && memory && part_q != HEADER;
  assign finished  = en && step && part_q == VALUES && last_word && last_t;
  always_ff @(posedge clk) begin
    if (c_take) begin
      part_q <= HEADER;
      b_q <= '0;
      head_q <= '0;
      t_q <= '0;
      word_q <= '0;
      key_q <= '0;
      scale_row_q <= '0;
    end else if (en && step) begin
      word_q <= (part_q == HEADER || last_word) ? '0 : word_q + CW'(1);
      if (part_q == HEADER || last_word) part_q <= part_q + 2'd1;
      if (part_q == VALUES && last_word) begin
        b_q <= memory ? b_q + 10'd1 : '0;
        if (!memory) begin
          head_q <= last_head ? '0 : head_q + 9'd1;
          key_q <= last_head ? '0 : key_q + AW'(ROW);
          scale_row_q <= last_head ? '0 : scale_row_q + SA'(SW);
        end
        if (last_head) t_q <= t_q + (TW + 1)'(1);
      end
    end
    if (en && step) begin
      scale_addr_q <= (part_q == HEADER) ? scale_row_q : scale_addr_q + SA'(1);
      raddr_q <= (part_q == SCALE) ? key_q : (part_q == KEYS && last_word) ? key_q + AW'(HK * ROW) : raddr_q + AW'(1);
    end
  end

  logic [W-1:0] vector, scale_word;
  logic read_vector, read_scale;
  assign read_vector = en && step && !memory && part_q[1];
  assign read_scale  = en && step && !memory && part_q == SCALE;
  ram_sdp #(
      .W(W),
      .DEPTH(WORDS)
  ) u_vectors (
      .clk,
      .we(w2_q && !scale2_q),
      .waddr(waddr2_q),
      .wdata(data2_q),
      .re(read_vector),
      .raddr(raddr_q),
      .rdata(vector)
  );
  ram_sdp #(
      .W(W),
      .DEPTH(SCALES),
      .SLICES(LANES)
  ) u_scales (
      .clk,
      .we((w2_q && scale2_q) ? lane2_q : '0),
      .waddr(saddr2_q),
      .wdata({LANES{data2_q[31:0]}}),
      .re(read_scale),
      .raddr(scale_addr_q),
      .rdata(scale_word)
  );

  // Output: a register beside the read registers of the two memories. Scales of tokens after t read as 0.
  logic valid_q, from_vector_q, from_scale_q;
  logic [1:0] kind_q;
  logic [W-1:0] data_q, masked;
  logic [LANES-1:0] mask_d, mask_q;
  for (genvar l = 0; l < LANES; l++) begin : g_mask
    logic [31:0] number;
    assign number = 32'(word_q) * LANES + l;
    assign mask_d[l] = number < 32 && number % 16 < 32'(count);
    assign masked[32*l+:32] = scale_word[32*l+:32] & {32{mask_q[l]}};
  end
  logic [W-1:0] header;
  assign header = W'(count) | W'(b_q == '0) << stream_pkg::HEADER_FIRST_BIT | W'(!memory) << stream_pkg::HEADER_LAST_BIT;
  assign en = !valid_q || kv_ready;
  always_ff @(posedge clk) begin
    if (rst) valid_q <= 1'b0;
    else if (en) valid_q <= step;
    if (en) begin
      kind_q <= part_q;
      from_vector_q <= !memory && part_q[1];
      from_scale_q <= !memory && part_q == SCALE;
      mask_q <= mask_d;
      data_q <= (part_q == HEADER) ? header : d_data;
    end
  end
  assign kv_valid = valid_q;
  assign kv_kind  = kind_q;
  assign kv_data  = from_vector_q ? vector : from_scale_q ? masked : data_q;
endmodule
