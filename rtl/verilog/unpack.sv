// unpack: packed super-words of a section to array words of LANES trits.
// cmd: a section of `words` array words (0 is a section of nothing). in: its super-words, low bits first. t: the array words,
// two bits a trit (0, 1, 3 = -1), lane 0 lowest. What is left of the section's last super-word is dropped, unchecked.
// One array word a cycle where a super-word holds at least one, else one super-word a cycle, without a gap between sections.
// A super-word that leaves the skid in cycle c is on t in c+2 (registers behind each level of decoding tables).
// An illegal byte counts as zero trits; bad is high from the cycle on in which its trits are on t, bad_word is the index of the
// first such super-word since rst or clear. clear forgets both, and what is decoded in that cycle.
module unpack #(
    parameter int W = 128,  // bits a super-word
    parameter int LANES = 80,  // trits an array word: trits a super-word times a power of two
    parameter int BASE3 = 1  // 1: five trits a byte, base 3; 0: four trits a byte, two bits each
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               clear,
    input  logic               cmd_valid,
    output logic               cmd_ready,
    input  logic [       31:0] cmd_words,
    input  logic               in_valid,
    output logic               in_ready,
    input  logic [      W-1:0] in_data,
    output logic               t_valid,
    input  logic               t_ready,
    output logic [2*LANES-1:0] t_trits,
    output logic               bad,
    output logic [       31:0] bad_word
);
  localparam int TPB = BASE3 != 0 ? 5 : 4;  // trits a byte
  localparam int FULL = W / 8 * TPB;  // trits a super-word
  localparam int CHUNK = LANES < FULL ? LANES : FULL;  // trits decoded a cycle
  localparam int BYTES = CHUNK / TPB;
  localparam int SLICES = FULL / CHUNK;  // array words a super-word
  localparam int PARTS = LANES / CHUNK;  // super-words an array word
  localparam int STEPS = SLICES > PARTS ? SLICES : PARTS;
  localparam int SW = STEPS > 1 ? $clog2(STEPS) : 1;

  // Base 3 in two levels of 6-input tables. byte = 4x + l. Head: x gives q0 = 4x / 9 and r0 = 4x mod 9; x = 60 has the r0 of
  // its own number 9 (it is 6, but l = 3 is illegal there), x > 60 has 10 and q0 = 27. Tail: r0 and l give the low two trits
  // and a carry into q0; q0 and the carry give the high three. Everything illegal has r0 = 10 or q = 27.
  // The functions give one output bit for all 64 inputs. A digit d has the trit code {d = 0, d != 1}. They are not automatic: with
  // an automatic scope at the end of a design, Icarus 11 never updates nets that read an array's word by a constant index.
  function logic [63:0] head_table(input int which);
    int q0, r0;
    for (int x = 0; x < 64; x++) begin
      q0 = x > 60 ? 27 : 4 * x / 9;
      r0 = x > 60 ? 10 : x == 60 ? 9 : (4 * x) % 9;
      head_table[x] = 1'((q0 * 16 + r0) >> which);
    end
  endfunction

  function logic [63:0] low_table(input int which);  // bits 0..3 trits, bit 4 carry; input {l, r0}
    int r;
    for (int x = 0; x < 64; x++) begin
      r = (x % 16 == 9 ? 6 : x % 16) + x / 16;
      low_table[x] = 1'({r >= 9, (r / 3) % 3 == 0, (r / 3) % 3 != 1, r % 3 == 0, r % 3 != 1} >> which);
      if (x % 16 > 9 || (x % 16 == 9 && r == 9)) low_table[x] = which == 4 && x % 16 == 9;
    end
  endfunction

  function logic [63:0] high_table(input int which);  // bits 0..5 trits, bit 6 illegal; input {carry, q0}
    int q;
    for (int x = 0; x < 64; x++) begin
      q = x % 32 + x / 32;
      high_table[x] = 1'({q > 26, q / 9 == 0, q / 9 != 1, (q / 3) % 3 == 0, (q / 3) % 3 != 1, q % 3 == 0, q % 3 != 1} >> which);
      if (q > 26) high_table[x] = which == 6;
    end
  endfunction

  logic c_valid, c_take, i_valid;
  logic [31:0] c_words, left_q;
  logic [W-1:0] i_data;
  logic [SW-1:0] step_q, part_q;
  logic chunk_q, word_q, super_q, valid_q;  // in stage 1: a chunk, one that ends an array word, a super-word; on t: a word
  logic free, take, last_step, word_done, super_done;

  skid #(.W(32)) u_cmd (
      .clk, .rst,
      .in_valid (cmd_valid), .in_ready (cmd_ready), .in_data (cmd_words),
      .out_valid(c_valid), .out_ready(c_take), .out_data (c_words)
  );
  skid #(.W(W)) u_in (
      .clk, .rst,
      .in_valid, .in_ready, .in_data,
      .out_valid(i_valid), .out_ready(super_done), .out_data (i_data)
  );

  // All stages move together.
  assign free       = !valid_q || t_ready;
  assign take       = free && i_valid && left_q != 32'd0;
  assign last_step  = step_q == SW'(STEPS - 1);
  assign word_done  = take && (PARTS == 1 || last_step);
  assign super_done = take && (SLICES == 1 || last_step || left_q == 32'd1);
  assign c_take     = left_q == 32'd0 || (left_q == 32'd1 && word_done);

  always_ff @(posedge clk) begin
    if (rst) begin
      left_q  <= 32'd0;
      step_q  <= '0;
      chunk_q <= 1'b0;
      word_q  <= 1'b0;
      super_q <= 1'b0;
      valid_q <= 1'b0;
    end else begin
      if (c_take && c_valid) left_q <= c_words;
      else if (word_done) left_q <= left_q - 32'd1;
      if (take) step_q <= (PARTS > 1 ? word_done : super_done) ? '0 : step_q + SW'(1);
      if (free) begin
        chunk_q <= take;
        word_q  <= word_done;
        super_q <= super_done;
        valid_q <= word_q;
      end
    end
    if (free) part_q <= step_q;
  end

  // The bytes of this step, and their trits one stage later.
  logic [8*BYTES-1:0] chunk;
  logic [2*CHUNK-1:0] codes;
  logic [BYTES-1:0] illegal;

  if (SLICES > 1) begin : g_slice
    assign chunk = i_data[32'(step_q)*8*BYTES+:8*BYTES];
  end else begin : g_whole
    assign chunk = i_data;
  end

  for (genvar i = 0; i < BYTES; i++) begin : g_byte
    if (BASE3 != 0) begin : g_base3
      logic [8:0] head, head_q;  // {q0, r0}
      logic [1:0] l_q;
      logic [5:0] low_in, high_in;
      logic carry;
      for (genvar k = 0; k < 9; k++) begin : g_head
        localparam logic [63:0] TABLE = head_table(k);
        assign head[k] = TABLE[chunk[8*i+2+:6]];
      end
      always_ff @(posedge clk) begin
        if (free) begin
          head_q <= head;
          l_q    <= chunk[8*i+:2];
        end
      end
      assign low_in  = {l_q, head_q[3:0]};
      assign high_in = {carry, head_q[8:4]};
      for (genvar k = 0; k < 5; k++) begin : g_low
        localparam logic [63:0] TABLE = low_table(k);
        if (k < 4) begin : g_trit
          assign codes[10*i+k] = TABLE[low_in];
        end else begin : g_carry
          assign carry = TABLE[low_in];
        end
      end
      for (genvar k = 0; k < 7; k++) begin : g_high
        localparam logic [63:0] TABLE = high_table(k);
        if (k < 6) begin : g_trit
          assign codes[10*i+4+k] = TABLE[high_in];
        end else begin : g_illegal
          assign illegal[i] = TABLE[high_in];
        end
      end
    end else begin : g_two_bit
      logic [7:0] byte_q;
      logic [3:0] two;
      always_ff @(posedge clk) if (free) byte_q <= chunk[8*i+:8];
      for (genvar k = 0; k < 4; k++) begin : g_code
        assign two[k] = byte_q[2*k+:2] == 2'd2;
      end
      assign illegal[i] = |two;
      assign codes[8*i+:8] = illegal[i] ? 8'd0 : byte_q;
    end
  end

  // Registers hold their part of the array word until t takes it.
  for (genvar p = 0; p < PARTS; p++) begin : g_part
    logic [2*CHUNK-1:0] trits_q;
    always_ff @(posedge clk) if (free && chunk_q && (PARTS == 1 || part_q == SW'(p))) trits_q <= codes;
    assign t_trits[2*CHUNK*p+:2*CHUNK] = trits_q;
  end
  assign t_valid = valid_q;

  // Super-words are counted when their last chunk is decoded.
  logic bad_q;
  logic [31:0] bad_word_q, seen_q;
  always_ff @(posedge clk) begin
    if (rst || clear) begin
      bad_q      <= 1'b0;
      bad_word_q <= 32'd0;
      seen_q     <= 32'd0;
    end else begin
      if (free && super_q) seen_q <= seen_q + 32'd1;
      if (free && chunk_q && |illegal && !bad_q) begin
        bad_q      <= 1'b1;
        bad_word_q <= seen_q;
      end
    end
  end
  assign bad      = bad_q;
  assign bad_word = bad_word_q;
endmodule
