// axi_read: AXI4 read master of P ports. Turns segments of super-words (one beat of every port) into streams of super-words.
// In: streams wseg (weights), dseg (control) and kseg (KV) {off, beats, dest}, levels base and stop; AXI R of every port.
// Out: AXI AR; streams w (of wseg) and a (of dseg and kseg) {dest, data}.
// dseg goes before kseg, a segment is not interleaved; both go before wseg where both can issue.
// Super-word off of a segment lies at byte base + off * PW/8 of every port. A segment of no beats gives nothing.
// stop: no burst is issued any more. idle: every segment is delivered; while stop is high: no burst waits or is in flight.
// err, err_port, err_addr: the first beat that failed since reset (the lowest port of several); its data are zero.
// beats_inc: a beat arrived at the port in the cycle before.
module axi_read #(
    parameter int P = 1,            // ports, 1 to 32
    parameter int PW = 128,         // bits of a port
    parameter int BURST = 16,       // longest burst, beats
    parameter int OUTSTANDING = 4,  // bursts in flight a port
    parameter int W_DEPTH = 64,     // weight FIFO, beats a port
    parameter int X_DEPTH = 64,     // auxiliary FIFO, beats a port
    parameter int SEGS = 8          // segments of a stream that are begun and not delivered
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            wseg_valid,
    output logic            wseg_ready,
    input  logic [31:0]     wseg_off,
    input  logic [31:0]     wseg_beats,
    input  logic [1:0]      wseg_dest,
    input  logic            dseg_valid,
    output logic            dseg_ready,
    input  logic [31:0]     dseg_off,
    input  logic [31:0]     dseg_beats,
    input  logic [1:0]      dseg_dest,
    input  logic            kseg_valid,
    output logic            kseg_ready,
    input  logic [31:0]     kseg_off,
    input  logic [31:0]     kseg_beats,
    input  logic [1:0]      kseg_dest,
    input  logic [64*P-1:0] base,
    input  logic            stop,
    output logic [P-1:0]    m_arvalid,
    input  logic [P-1:0]    m_arready,
    output logic [64*P-1:0] m_araddr,
    output logic [8*P-1:0]  m_arlen,
    output logic [3*P-1:0]  m_arsize,
    output logic [2*P-1:0]  m_arburst,
    input  logic [P-1:0]    m_rvalid,
    output logic [P-1:0]    m_rready,
    input  logic [P*PW-1:0] m_rdata,
    input  logic [2*P-1:0]  m_rresp,
    input  logic [P-1:0]    m_rlast,
    output logic            w_valid,
    input  logic            w_ready,
    output logic [1:0]      w_dest,
    output logic [P*PW-1:0] w_data,
    output logic            a_valid,
    input  logic            a_ready,
    output logic [1:0]      a_dest,
    output logic [P*PW-1:0] a_data,
    output logic            idle,
    output logic            err,
    output logic [4:0]      err_port,
    output logic [63:0]     err_addr,
    output logic [P-1:0]    beats_inc
);
    assign m_arsize  = {P{3'($clog2(PW / 8))}};
    assign m_arburst = {P{2'b01}};
    assign m_rready  = {P{1'b1}};

    localparam int SEG = stream_pkg::OFFSET_BITS + stream_pkg::READ_BEATS_BITS + stream_pkg::DEST_BITS;
    logic        ws_valid, ws_ready, ds_valid, ds_ready, ks_valid, ks_ready;
    logic [31:0] ws_off, ws_beats, ds_off, ds_beats, ks_off, ks_beats;
    logic [1:0]  ws_dest, ds_dest, ks_dest;
    skid #(.W(SEG)) u_wseg (
        .clk, .rst,
        .in_valid(wseg_valid), .in_ready(wseg_ready), .in_data({wseg_dest, wseg_beats, wseg_off}),
        .out_valid(ws_valid), .out_ready(ws_ready), .out_data({ws_dest, ws_beats, ws_off})
    );
    skid #(.W(SEG)) u_dseg (
        .clk, .rst,
        .in_valid(dseg_valid), .in_ready(dseg_ready), .in_data({dseg_dest, dseg_beats, dseg_off}),
        .out_valid(ds_valid), .out_ready(ds_ready), .out_data({ds_dest, ds_beats, ds_off})
    );
    skid #(.W(SEG)) u_kseg (
        .clk, .rst,
        .in_valid(kseg_valid), .in_ready(kseg_ready), .in_data({kseg_dest, kseg_beats, kseg_off}),
        .out_valid(ks_valid), .out_ready(ks_ready), .out_data({ks_dest, ks_beats, ks_off})
    );

    // A segment goes to all ports in one cycle; its length and dest wait in a queue for its data.
    logic [P-1:0] pw_seg_ready, px_seg_ready;
    logic         wq_ready, aq_ready, xs_valid;
    logic [31:0]  xs_off, xs_beats;
    logic [1:0]   xs_dest;
    assign ws_ready = (&pw_seg_ready) && wq_ready;
    assign ds_ready = (&px_seg_ready) && aq_ready;
    assign ks_ready = ds_ready && !ds_valid;
    assign xs_valid = ds_valid || ks_valid;
    assign xs_off   = ds_valid ? ds_off : ks_off;
    assign xs_beats = ds_valid ? ds_beats : ks_beats;
    assign xs_dest  = ds_valid ? ds_dest : ks_dest;

    logic         wq_valid, aq_valid, w_move, a_move, w_last, a_last;
    logic [31:0]  wq_last, aq_last, w_index_q, a_index_q;
    logic [$clog2(SEGS+1)-1:0] unused_wq_count, unused_aq_count;
    fifo #(.W(stream_pkg::DEST_BITS + stream_pkg::READ_BEATS_BITS), .DEPTH(SEGS)) u_wq (
        .clk, .rst,
        .in_valid(ws_valid && ws_ready && (ws_beats != 32'd0)), .in_ready(wq_ready), .in_data({ws_dest, ws_beats - 32'd1}),
        .out_valid(wq_valid), .out_ready(w_move && w_last), .out_data({w_dest, wq_last}), .count(unused_wq_count)
    );
    fifo #(.W(stream_pkg::DEST_BITS + stream_pkg::READ_BEATS_BITS), .DEPTH(SEGS)) u_aq (
        .clk, .rst,
        .in_valid(xs_valid && ds_ready && (xs_beats != 32'd0)), .in_ready(aq_ready), .in_data({xs_dest, xs_beats - 32'd1}),
        .out_valid(aq_valid), .out_ready(a_move && a_last), .out_data({a_dest, aq_last}), .count(unused_aq_count)
    );

    logic [P-1:0]    pw_valid, px_valid, quiet, bad;
    logic [64*P-1:0] bad_addr;
    for (genvar p = 0; p < P; p++) begin : g_port
        axi_read_port #(
            .PW(PW), .BURST(BURST), .OUTSTANDING(OUTSTANDING), .W_DEPTH(W_DEPTH), .X_DEPTH(X_DEPTH)
        ) u_port (
            .clk, .rst,
            .wseg_valid(ws_valid && ws_ready), .wseg_ready(pw_seg_ready[p]), .wseg_off(ws_off), .wseg_beats(ws_beats),
            .xseg_valid(xs_valid && ds_ready), .xseg_ready(px_seg_ready[p]), .xseg_off(xs_off), .xseg_beats(xs_beats),
            .base(base[64*p+:64]), .stop,
            .m_arvalid(m_arvalid[p]), .m_arready(m_arready[p]), .m_araddr(m_araddr[64*p+:64]), .m_arlen(m_arlen[8*p+:8]),
            .m_rvalid(m_rvalid[p]), .m_rdata(m_rdata[PW*p+:PW]), .m_rresp(m_rresp[2*p+:2]), .m_rlast(m_rlast[p]),
            .w_valid(pw_valid[p]), .w_ready(w_move), .w_data(w_data[PW*p+:PW]),
            .x_valid(px_valid[p]), .x_ready(a_move), .x_data(a_data[PW*p+:PW]),
            .quiet(quiet[p]), .beat(beats_inc[p]), .bad(bad[p]), .bad_addr(bad_addr[64*p+:64])
        );
    end

    // Join: a super-word leaves when every port has its beat.
    assign w_valid = (&pw_valid) && wq_valid;
    assign a_valid = (&px_valid) && aq_valid;
    assign w_move  = w_valid && w_ready;
    assign a_move  = a_valid && a_ready;
    assign w_last  = w_index_q == wq_last;
    assign a_last  = a_index_q == aq_last;

    axi_first_error #(.P(P)) u_error (.clk, .rst, .bad, .bad_addr, .err, .err_port, .err_addr);

    logic stop_q;

    always_ff @(posedge clk) begin
        if (rst) begin
            stop_q     <= 1'b0;
            w_index_q  <= 32'd0;
            a_index_q  <= 32'd0;
        end else begin
            stop_q <= stop;
            if (w_move) w_index_q <= w_last ? 32'd0 : w_index_q + 32'd1;
            if (a_move) a_index_q <= a_last ? 32'd0 : a_index_q + 32'd1;
        end
    end

    assign idle     = (&quiet) && (stop_q || !(ws_valid || xs_valid || wq_valid || aq_valid));
endmodule
