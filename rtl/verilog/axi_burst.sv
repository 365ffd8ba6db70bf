// axi_burst: cuts a linear segment into AXI bursts.
// In: stream seg {off, beats}, level base. Out: stream burst {addr, len}, len = beats - 1 as AXI has it.
// A burst ends where a block of BURST beats ends, so with BURST * PW/8 <= 4096 none crosses 4 KiB; only the first
// and the last burst of a segment are shorter than BURST. One burst a cycle, also across segments.
// A segment of no beats gives no burst. Three cycles from an accepted segment to burst_valid.
module axi_burst #(
    parameter int PW = 128,   // bits of the data bus, a power of two from 32 to 512
    parameter int BURST = 16  // longest burst in beats, a power of two
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        seg_valid,
    output logic        seg_ready,
    input  logic [31:0] seg_off,    // of the first beat from base, in beats
    input  logic [31:0] seg_beats,
    input  logic [63:0] base,       // byte address; bits below the bus width are taken as 0
    output logic        burst_valid,
    input  logic        burst_ready,
    output logic [63:0] burst_addr,
    output logic [7:0]  burst_len,
    output logic        empty       // no segment or burst waits here
);
    localparam int LB = $clog2(PW / 8);

    logic        s_valid, s_ready;
    logic [31:0] s_off, s_beats;
    skid #(.W(64)) u_seg (
        .clk, .rst,
        .in_valid(seg_valid), .in_ready(seg_ready), .in_data({seg_off, seg_beats}),
        .out_valid(s_valid), .out_ready(s_ready), .out_data({s_off, s_beats})
    );

    logic           act_valid_q, burst_valid_q;
    logic [63-LB:0] act_beat_q;  // address in beats of the next burst
    logic [31:0]    act_left_q;  // beats of the segment that are not in a burst yet, at least 1
    logic [63-LB:0] burst_beat_q;
    logic [7:0]     burst_len_q;

    logic [8:0] room, beats;  // beats to the end of the block; beats of this burst
    logic       last, advance;
    assign room    = 9'(BURST) - (act_beat_q[8:0] & 9'(BURST - 1));
    assign last    = (act_left_q[31:9] == 23'd0) && (act_left_q[8:0] <= room);
    assign beats   = last ? act_left_q[8:0] : room;
    assign advance = !burst_valid_q || burst_ready;
    assign s_ready = !act_valid_q || (advance && last);

    logic [8:0] len;
    assign len = beats - 9'd1;

    always_ff @(posedge clk) begin
        if (rst) begin
            act_valid_q   <= 1'b0;
            burst_valid_q <= 1'b0;
        end else begin
            if (s_ready) act_valid_q <= s_valid && (s_beats != 32'd0);
            if (advance) burst_valid_q <= act_valid_q;
        end
    end

    always_ff @(posedge clk) begin
        if (s_ready) begin
            act_beat_q <= base[63:LB] + (64-LB)'(s_off);
            act_left_q <= s_beats;
        end else if (advance) begin
            act_beat_q <= act_beat_q + (64-LB)'(room);
            act_left_q <= act_left_q - 32'(room);
        end
        if (advance) begin
            burst_beat_q <= act_beat_q;
            burst_len_q  <= len[7:0];
        end
    end

    assign burst_valid = burst_valid_q;
    assign burst_addr  = {burst_beat_q, {LB{1'b0}}};
    assign burst_len   = burst_len_q;
    assign empty       = !s_valid && !act_valid_q && !burst_valid_q;

    logic unused_base;
    assign unused_base = &{1'b0, base[LB-1:0], len[8]};
endmodule
