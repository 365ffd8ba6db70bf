// tmac: the ternary array. LANES int8 activations of each of BATCH tokens times one array word of trits a cycle, exactly.
// cmd: a phase of `rows` rows of `wpr` array words for tokens 0..n-1; it waits until `acts` act beats have come since the last
// phase consumed its last array word. All of rows, wpr and n are at least 1.
// act: VEC activations of a token; within a token index (of the group) starts at 0, then stays or goes up by one from beat to
// beat. They come after the phase before has taken its last array word. Lanes of a row's last word that no group fills are zero.
// t: array words (trit 0, 1, 3 = -1), rows in order; no skid, because t_ready is a function of state alone.
// sum0, sum1 (by dest): the n sums of a row, token by token. Row r's first sum is valid LATENCY = STAGES + 3 cycles after its last
// array word was taken (empty buffer). The array stalls only before a row's last word, when the buffer's ROWS places are taken.
// busy, wait_w, wait_act, wait_out: what the last cycle was; at most one is high. wait_w: no array word was there, wait_act: act
// beats are missing, wait_out: no place for sums.
//
// No multiplier: a lane's activation register is cleared by its synchronous reset when the trit is 0 (no LUT), and signs are
// factored out of the adder tree: s0·a + s1·b = s0·(a ± b), so a node is one add/subtract, a LUT a bit, and passes on the sign of
// its first lane; the last sign is applied by the accumulator.
module tmac #(
    parameter int LANES = 80,  // activations along K an array word
    parameter int BATCH = 4,  // tokens that share the trits
    parameter int VEC = 4,  // activations an act beat; divides LANES
    parameter int DEPTH = 22,  // largest wpr, at least 2
    parameter int ROWS = 16  // rows of sums that can wait or be under way
) (
    input  logic                                      clk,
    input  logic                                      rst,
    input  logic                                      cmd_valid,
    output logic                                      cmd_ready,
    input  logic [                              19:0] cmd_acts,
    input  logic [                              14:0] cmd_wpr,
    input  logic [                              19:0] cmd_rows,
    input  logic [(BATCH > 1 ? $clog2(BATCH) : 1):0]  cmd_n,
    input  logic                                      cmd_dest,
    input  logic                                      act_valid,
    output logic                                      act_ready,
    input  logic [(BATCH > 1 ? $clog2(BATCH) : 1)-1:0] act_token,
    input  logic [                              14:0] act_index,
    input  logic [                         8*VEC-1:0] act_data,
    input  logic                                      t_valid,
    output logic                                      t_ready,
    input  logic [                       2*LANES-1:0] t_trits,
    output logic                                      sum0_valid,
    input  logic                                      sum0_ready,
    output logic [(BATCH > 1 ? $clog2(BATCH) : 1)-1:0] sum0_token,
    output logic [                              21:0] sum0_data,
    output logic                                      sum1_valid,
    input  logic                                      sum1_ready,
    output logic [(BATCH > 1 ? $clog2(BATCH) : 1)-1:0] sum1_token,
    output logic [                              21:0] sum1_data,
    output logic                                      busy,
    output logic                                      wait_w,
    output logic                                      wait_act,
    output logic                                      wait_out
);
  localparam int TW = BATCH > 1 ? $clog2(BATCH) : 1;
  localparam int AW = $clog2(DEPTH);
  localparam int GROUPS = LANES / VEC;  // act beats an array word
  localparam int GW = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int CW = $clog2(ROWS + 1);
  localparam int LEVELS = $clog2(LANES);  // of the adder tree
  localparam int STAGES = (LEVELS + 1) / 2;  // a register every two levels
  localparam int TREE = 8 + LEVELS;  // bits of the tree's result
  localparam int ACC = 22;
  localparam logic [1:0] IDLE = 2'd0, ACTS = 2'd1, RUN = 2'd2;

  // ---- command
  logic [1:0] state_q;
  logic c_valid;
  logic [19:0] c_acts, c_rows;
  logic [14:0] c_wpr;
  logic [TW:0] c_n;
  logic c_dest;
  skid #(.W(57 + TW)) u_cmd (
      .clk, .rst,
      .in_valid (cmd_valid), .in_ready (cmd_ready), .in_data ({cmd_acts, cmd_wpr, cmd_rows, cmd_n, cmd_dest}),
      .out_valid(c_valid), .out_ready(state_q == IDLE), .out_data ({c_acts, c_wpr, c_rows, c_n, c_dest})
  );

  logic [19:0] need_q, acts_q, rows_q;
  logic [14:0] last_word_q;
  logic [AW-1:0] word_q;
  logic [TW:0] last_token_q;
  logic dest_q;
  logic [CW-1:0] free_q;  // places for rows of sums
  logic start, fire, row_end, phase_end, act_take, row_out;

  assign start     = state_q == ACTS && acts_q == need_q;
  assign row_end   = 15'(word_q) == last_word_q;
  assign t_ready   = state_q == RUN && (!row_end || free_q != '0);
  assign fire      = t_valid && t_ready;
  assign phase_end = fire && row_end && rows_q == 20'd1;

  always_ff @(posedge clk) begin
    if (rst) begin
      state_q <= IDLE;
      acts_q  <= 20'd0;
      word_q  <= '0;
      free_q  <= CW'(ROWS);
    end else begin
      if (state_q == IDLE && c_valid) state_q <= ACTS;
      if (start) state_q <= RUN;
      if (phase_end) state_q <= IDLE;
      if (act_take) acts_q <= acts_q + 20'd1;
      if (phase_end) acts_q <= 20'd0;
      if (fire) word_q <= row_end ? '0 : word_q + AW'(1);
      if (fire && row_end && !row_out) free_q <= free_q - CW'(1);
      if (row_out && !(fire && row_end)) free_q <= free_q + CW'(1);
    end
    if (state_q == IDLE) begin
      need_q       <= c_acts;
      last_word_q  <= c_wpr - 15'd1;
      last_token_q <= c_n - (TW + 1)'(1);
      dest_q       <= c_dest;
      rows_q       <= c_rows;
    end else if (fire && row_end) rows_q <= rows_q - 20'd1;
  end

  always_ff @(posedge clk) begin
    busy     <= !rst && fire;
    wait_w   <= !rst && t_ready && !t_valid;
    wait_act <= !rst && state_q == ACTS && !start;
    wait_out <= !rst && state_q == RUN && !t_ready;
  end

  // ---- activations in
  logic a_valid;
  logic [TW-1:0] a_token;
  logic [14:0] a_index;
  logic [8*VEC-1:0] a_data, a_rest;
  logic [GW-1:0] group_q, group;  // of the last beat, of this one
  logic [AW-1:0] place_q, place;  // its array word
  logic odd, odd_q;
  logic [GROUPS-1:0] enable;

  skid #(.W(TW + 15 + 8 * VEC)) u_act (
      .clk, .rst,
      .in_valid (act_valid), .in_ready (act_ready), .in_data ({act_token, act_index, act_data}),
      .out_valid(a_valid), .out_ready(state_q != RUN), .out_data ({a_token, a_index, a_data})
  );
  assign act_take = a_valid && state_q != RUN;
  assign odd      = a_index[0];

  always_comb begin
    group = group_q;
    place = place_q;
    if (a_index == 15'd0) begin
      group = '0;
      place = '0;
    end else if (odd != odd_q) begin
      group = group_q == GW'(GROUPS - 1) ? '0 : group_q + GW'(1);
      place = group_q == GW'(GROUPS - 1) ? place_q + AW'(1) : place_q;
    end
  end
  always_ff @(posedge clk) begin
    if (act_take) begin
      group_q <= group;
      place_q <= place;
      odd_q   <= odd;
    end
  end

  // The first group of a word clears the others.
  assign a_rest = group == '0 ? '0 : a_data;
  for (genvar g = 0; g < GROUPS; g++) begin : g_enable
    assign enable[g] = act_take && (group == '0 || group == GW'(g));
  end

  logic [8*LANES-1:0] write_data;
  if (GROUPS > 1) begin : g_write
    assign write_data = {{(GROUPS - 1) {a_rest}}, a_data};
  end else begin : g_write
    assign write_data = a_data;
  end

  // ---- signs: one bit a tree node, in the cycle in which its level adds
  for (genvar l = 1; l <= LEVELS; l++) begin : g_sign
    localparam int NODES = ((LANES - 1) >> (l - 1)) + 1;  // below this level
    localparam int PAIRS = NODES / 2;
    localparam int DELAY = (l + 1) / 2;
    localparam int BITS = PAIRS * DELAY;
    logic [PAIRS-1:0] differ, sub;
    logic [BITS-1:0] delay_q;
    for (genvar j = 0; j < PAIRS; j++) begin : g_pair
      assign differ[j] = t_trits[4*(j<<(l-1))+1] ^ t_trits[2*((2*j+1)<<(l-1))+1];
    end
    always_ff @(posedge clk) delay_q <= BITS'({delay_q, differ});
    assign sub = delay_q[BITS-1-:PAIRS];
  end

  // ---- what travels with an array word
  logic [STAGES:0] valid_q, end_q, first_q, negative_q;
  logic row_q, add, add_first, add_negative;
  logic [(STAGES+2)*(TW+1)-1:0] meta_q;  // last token and dest of the row
  always_ff @(posedge clk) begin
    if (rst) begin
      valid_q <= '0;
      end_q   <= '0;
      row_q   <= 1'b0;
    end else begin
      valid_q <= {valid_q[STAGES-1:0], fire};
      end_q   <= {end_q[STAGES-1:0], fire && row_end};
      row_q   <= end_q[STAGES];
    end
    first_q    <= {first_q[STAGES-1:0], word_q == '0};
    negative_q <= {negative_q[STAGES-1:0], t_trits[1]};
    meta_q     <= {meta_q[(STAGES+1)*(TW+1)-1:0], last_token_q[TW-1:0], dest_q};
  end
  assign add          = valid_q[STAGES];
  assign add_first    = first_q[STAGES];
  assign add_negative = negative_q[STAGES];

  // ---- the array
  logic [ACC*BATCH-1:0] sums;
  for (genvar b = 0; b < BATCH; b++) begin : g_token
    logic [8*LANES-1:0] rdata, a_q;

    // rdata is the array word of activations that is used next. Block RAM: read when the phase starts, then whenever one is used.
    // Distributed RAM, with the same cycles: read in place, without a register of its own.
    if (DEPTH > 64) begin : g_block
      ram_sdp #(.W(8 * LANES), .DEPTH(DEPTH), .SLICES(GROUPS)) u_ram (
          .clk,
          .we   (a_token == TW'(b) ? enable : '0),
          .waddr(place),
          .wdata(write_data),
          .re   (start || fire),
          .raddr(fire && !row_end ? word_q + AW'(1) : '0),
          .rdata
      );
    end else begin : g_distributed
      for (genvar g = 0; g < GROUPS; g++) begin : g_group
        (* ram_style = "distributed" *)
        logic [8*VEC-1:0] mem[0:DEPTH-1];
        always_ff @(posedge clk) if (a_token == TW'(b) && enable[g]) mem[place] <= write_data[8*VEC*g+:8*VEC];
        assign rdata[8*VEC*g+:8*VEC] = mem[word_q];
      end
    end

    for (genvar i = 0; i < LANES; i++) begin : g_lane
      always_ff @(posedge clk) begin
        if (!t_trits[2*i]) a_q[8*i+:8] <= 8'd0;
        else a_q[8*i+:8] <= rdata[8*i+:8];
      end
    end

    for (genvar l = 1; l <= LEVELS; l++) begin : g_level
      localparam int IN = ((LANES - 1) >> (l - 1)) + 1;  // nodes below and here
      localparam int OUT = ((LANES - 1) >> l) + 1;
      localparam int WI = 7 + l;
      localparam int WO = 8 + l;
      logic [IN*WI-1:0] x;
      logic [OUT*WO-1:0] y, node;
      if (l == 1) begin : g_lanes
        assign x = a_q;
      end else begin : g_below
        assign x = g_level[l-1].y;
      end
      for (genvar j = 0; j < OUT; j++) begin : g_node
        if (2 * j + 1 < IN) begin : g_add
          // lo - (hi ^ -add) - add = sub ? lo - hi : lo + hi. The bit below makes the borrow, and as a difference lo goes to the
          // carry chain as it is, whatever a tool does to a sum's operands.
          logic [WO:0] lo, hi;
          assign lo = {x[2*j*WI+WI-1], x[2*j*WI+:WI], 1'b0};
          assign hi = {x[2*j*WI+2*WI-1], x[2*j*WI+WI+:WI], 1'b0} ^ {(WO + 1) {~g_sign[l].sub[j]}};
          assign node[j*WO+:WO] = WO'((lo - hi) >> 1);
        end else begin : g_pass
          assign node[j*WO+:WO] = {x[2*j*WI+WI-1], x[2*j*WI+:WI]};
        end
      end
      if (l % 2 == 0 || l == LEVELS) begin : g_register
        always_ff @(posedge clk) y <= node;
      end else begin : g_wire
        assign y = node;
      end
    end

    logic [ACC-1:0] acc_q, base, term;
    assign base   = add_first ? '0 : acc_q;
    assign term   = {{(ACC - TREE) {g_level[LEVELS].y[TREE-1]}}, g_level[LEVELS].y};
    always_ff @(posedge clk) begin
      if (add) acc_q <= ACC'(({base, 1'b0} - ({term, 1'b0} ^ {(ACC + 1) {~add_negative}})) >> 1);
    end
    assign sums[ACC*b+:ACC] = acc_q;
  end

  // ---- sums out
  logic q_valid, q_dest, q_space, sum_ready;
  logic [TW-1:0] q_last, token_q;
  logic [ACC*BATCH-1:0] q_sums;
  logic [$clog2(ROWS+1)-1:0] q_count;
  fifo #(.W(ACC * BATCH + TW + 1), .DEPTH(ROWS)) u_rows (
      .clk, .rst,
      .in_valid (row_q), .in_ready (q_space), .in_data ({sums, meta_q[(STAGES+2)*(TW+1)-1-:TW+1]}),
      .out_valid(q_valid), .out_ready(row_out), .out_data ({q_sums, q_last, q_dest}), .count (q_count)
  );
  assign sum_ready = q_dest ? sum1_ready : sum0_ready;
  assign row_out   = q_valid && sum_ready && token_q == q_last;
  always_ff @(posedge clk) begin
    if (rst) token_q <= '0;
    else if (q_valid && sum_ready) token_q <= token_q == q_last ? '0 : token_q + TW'(1);
  end

  assign sum0_valid = q_valid && !q_dest;
  assign sum1_valid = q_valid && q_dest;
  assign sum0_token = token_q;
  assign sum1_token = token_q;
  // A select by comparison: an offset of ACC times the token would be a multiplier to synthesis.
  logic [ACC-1:0] q_sum;
  always_comb begin
    q_sum = '0;
    for (int b = 0; b < BATCH; b++) q_sum = q_sum | ({ACC{token_q == TW'(b)}} & q_sums[ACC*b+:ACC]);
  end
  assign sum0_data  = q_sum;
  assign sum1_data  = q_sum;

  // A place is reserved before a row's last word is taken, so the buffer always has space.
  logic unused;
  assign unused = &{1'b0, q_space, q_count, last_token_q[TW], a_rest};
endmodule
