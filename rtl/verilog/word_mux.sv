// word_mux: word sel of N words, zero from N on. No register.
// The words are spread to a power of two bits: from `in[W*sel +: W]` with any other W yosys makes a barrel shifter of the whole vector,
// many times the LUTs of a choice.
module word_mux #(
    parameter int W = 8,  // bits a word, at least 2
    parameter int N = 4,  // words
    parameter int SW = 2  // bits of sel, 2**SW >= N
) (
    input  logic [W*N-1:0] in,
    input  logic [ SW-1:0] sel,
    output logic [  W-1:0] out
);
  localparam int LS = $clog2(W);
  localparam int SPREAD = 2 ** LS;

  logic [SPREAD*2**SW-1:0] words;

  for (genvar i = 0; i < 2 ** SW; i++) begin : g_word
    if (i < N) begin : g_used
      assign words[SPREAD*i+:SPREAD] = SPREAD'(in[W*i+:W]);
    end else begin : g_none
      assign words[SPREAD*i+:SPREAD] = '0;
    end
  end
  assign out = words[{sel, {LS{1'b0}}}+:W];
endmodule
