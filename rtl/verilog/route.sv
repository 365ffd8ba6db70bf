// route: demultiplexer. In: stream in {dest, data}. Out: streams o0, o1, o2 {data}; a word goes to the output of its dest.
// Order within an output is kept; a word whose output does not take it holds those behind it. A word with dest 3 is dropped.
// One word a cycle, one cycle from in to out.
module route #(
    parameter int W = 128  // bits of a word
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic [1:0]   in_dest,
    input  logic [W-1:0] in_data,
    output logic         o0_valid,
    input  logic         o0_ready,
    output logic [W-1:0] o0_data,
    output logic         o1_valid,
    input  logic         o1_ready,
    output logic [W-1:0] o1_data,
    output logic         o2_valid,
    input  logic         o2_ready,
    output logic [W-1:0] o2_data
);
    logic         valid, ready;
    logic [1:0]   dest;
    logic [W-1:0] data;
    skid #(.W(2 + W)) u_in (
        .clk, .rst,
        .in_valid, .in_ready, .in_data({in_dest, in_data}),
        .out_valid(valid), .out_ready(ready), .out_data({dest, data})
    );

    assign o0_valid = valid && (dest == 2'd0);
    assign o1_valid = valid && (dest == 2'd1);
    assign o2_valid = valid && (dest == 2'd2);
    assign o0_data  = data;
    assign o1_data  = data;
    assign o2_data  = data;

    always_comb begin
        case (dest)
            2'd0:    ready = o0_ready;
            2'd1:    ready = o1_ready;
            2'd2:    ready = o2_ready;
            default: ready = 1'b1;
        endcase
    end
endmodule
