// norm_stats: max |x * gain| and the sum of x^2 of vectors, VEC elements a cycle, docs/numerics.md section 2.
// In: x (signed 32 bits each), g (signed 17 bits each); first and last mark the ends of a vector, tag is taken with its last beat.
// Out: out_valid for one cycle a vector, 5 + log2 VEC cycles after its last beat: product 4, trees log2 VEC, running values 1.
// One beat a cycle, vectors back to back.
module norm_stats #(
    parameter int VEC = 4,
    parameter int TAG = 1
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              in_valid,
    input  logic              in_first,
    input  logic              in_last,
    input  logic [   TAG-1:0] in_tag,
    input  logic [32*VEC-1:0] x,
    input  logic [17*VEC-1:0] g,
    output logic              out_valid,
    output logic [   TAG-1:0] out_tag,
    output logic [      46:0] out_amax,
    output logic [      76:0] out_ss
);
  localparam int LV = $clog2(VEC);  // levels of the trees
  localparam int TREE = 4 + LV;     // cycles to a beat's maximum and sum
  localparam int SUMW = 63 + LV;

  // Control beside the data: bit or word i belongs to the beat that came i cycles ago.
  logic [TREE+1:1] valid_q, first_q, last_q;
  logic [TAG-1:0] tag_s[1:TREE+1];
  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else valid_q <= {valid_q[TREE:1], in_valid};
    first_q  <= {first_q[TREE:1], in_first};
    last_q   <= {last_q[TREE:1], in_last};
    tag_s[1] <= in_tag;
  end
  for (genvar i = 2; i <= TREE + 1; i++) begin : g_tag
    always_ff @(posedge clk) tag_s[i] <= tag_s[i-1];
  end

  logic [47*VEC-1:0] mag;
  logic [63*VEC-1:0] sq;
  logic [VEC-1:0] unused_neg;
  norm_product #(
      .VEC(VEC)
  ) u_product (
      .clk,
      .x,
      .g,
      .mag,
      .neg(unused_neg)
  );
  for (genvar i = 0; i < VEC; i++) begin : g_square
    logic [63:0] sq1_q, sq2_q, sq3_q;
    logic [62:0] sq4_q;
    wire signed [31:0] xi = x[32*i+:32];
    wire unused_top = &{1'b0, sq3_q[63], 1'b0};
    always_ff @(posedge clk) begin
      sq1_q <= 64'(xi) * 64'(xi);
      sq2_q <= sq1_q;
      sq3_q <= sq2_q;
      sq4_q <= sq3_q[62:0];
    end
    assign sq[63*i+:63] = sq4_q;
  end

  // Maximum and sum of a beat, halving at each level.
  for (genvar l = 0; l <= LV; l++) begin : g_level
    logic [47*(VEC>>l)-1:0] max_q;
    logic [SUMW*(VEC>>l)-1:0] sum_q;
    for (genvar i = 0; i < (VEC >> l); i++) begin : g_node
      if (l == 0) begin : g_leaf
        assign max_q[47*i+:47] = mag[47*i+:47];
        assign sum_q[SUMW*i+:SUMW] = SUMW'(sq[63*i+:63]);
      end else begin : g_pair
        wire [46:0] a = g_level[l-1].max_q[94*i+:47];
        wire [46:0] b = g_level[l-1].max_q[94*i+47+:47];
        always_ff @(posedge clk) begin
          max_q[47*i+:47] <= a > b ? a : b;
          sum_q[SUMW*i+:SUMW] <= g_level[l-1].sum_q[2*SUMW*i+:SUMW] + g_level[l-1].sum_q[2*SUMW*i+SUMW+:SUMW];
        end
      end
    end
  end

  // The vector so far.
  logic [46:0] amax_q;
  logic [76:0] ss_q;
  wire [46:0] beat_max = g_level[LV].max_q;
  wire [76:0] beat_sum = 77'(g_level[LV].sum_q);
  always_ff @(posedge clk) begin
    if (valid_q[TREE]) begin
      amax_q <= first_q[TREE] || beat_max > amax_q ? beat_max : amax_q;
      ss_q   <= first_q[TREE] ? beat_sum : ss_q + beat_sum;
    end
  end
  wire unused_first = &{1'b0, first_q[TREE+1], 1'b0};

  assign out_valid = valid_q[TREE+1] && last_q[TREE+1];
  assign out_tag   = tag_s[TREE+1];
  assign out_amax  = amax_q;
  assign out_ss    = ss_q;
endmodule
