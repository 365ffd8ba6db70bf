// axi_read_port: AXI4 read master of one memory port, with a FIFO for weights (w) and one for auxiliary data (x).
// In: streams wseg, xseg {off, beats}, levels base and stop; AXI R. Out: AXI AR; streams w, x {data}, the beats of the
// segments in order.
// A burst is issued only when FIFO space for all of it is reserved, so m_rready is constant 1. x goes before w.
// While stop is high no burst is issued; one whose ARVALID is up stays up. quiet: no burst waits or is in flight.
// A beat with an error response, or with RLAST in the wrong place, enters the FIFO as zero and pulses bad with its address.
module axi_read_port #(
    parameter int PW = 128,          // bits of the data bus
    parameter int BURST = 16,        // longest burst, beats
    parameter int OUTSTANDING = 4,   // bursts in flight, 1 to 64
    parameter int W_DEPTH = 64,      // beats of the weight FIFO, at least BURST
    parameter int X_DEPTH = 64       // beats of the auxiliary FIFO, at least BURST
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          wseg_valid,
    output logic          wseg_ready,
    input  logic [31:0]   wseg_off,
    input  logic [31:0]   wseg_beats,
    input  logic          xseg_valid,
    output logic          xseg_ready,
    input  logic [31:0]   xseg_off,
    input  logic [31:0]   xseg_beats,
    input  logic [63:0]   base,
    input  logic          stop,
    output logic          m_arvalid,
    input  logic          m_arready,
    output logic [63:0]   m_araddr,
    output logic [7:0]    m_arlen,
    input  logic          m_rvalid,
    input  logic [PW-1:0] m_rdata,
    input  logic [1:0]    m_rresp,
    input  logic          m_rlast,
    output logic          w_valid,
    input  logic          w_ready,
    output logic [PW-1:0] w_data,
    output logic          x_valid,
    input  logic          x_ready,
    output logic [PW-1:0] x_data,
    output logic          quiet,
    output logic          beat,      // a beat arrived in the cycle before
    output logic          bad,
    output logic [63:0]   bad_addr
);
    localparam int LB = $clog2(PW / 8);
    localparam int WS = $clog2(W_DEPTH + 1);
    localparam int XS = $clog2(X_DEPTH + 1);
    localparam int WC = WS > 9 ? WS : 9;  // width in which space and a burst are compared
    localparam int XC = XS > 9 ? XS : 9;
    localparam int FW = $clog2(OUTSTANDING + 1);

    logic        wb_valid, wb_ready, xb_valid, xb_ready;
    logic [63:0] wb_addr, xb_addr;
    logic [7:0]  wb_len, xb_len;
    logic        unused_wb_empty, unused_xb_empty;
    axi_burst #(.PW(PW), .BURST(BURST)) u_wburst (
        .clk, .rst,
        .seg_valid(wseg_valid), .seg_ready(wseg_ready), .seg_off(wseg_off), .seg_beats(wseg_beats), .base,
        .burst_valid(wb_valid), .burst_ready(wb_ready), .burst_addr(wb_addr), .burst_len(wb_len), .empty(unused_wb_empty)
    );
    axi_burst #(.PW(PW), .BURST(BURST)) u_xburst (
        .clk, .rst,
        .seg_valid(xseg_valid), .seg_ready(xseg_ready), .seg_off(xseg_off), .seg_beats(xseg_beats), .base,
        .burst_valid(xb_valid), .burst_ready(xb_ready), .burst_addr(xb_addr), .burst_len(xb_len), .empty(unused_xb_empty)
    );

    // Issue: one burst a cycle into the AR register.
    logic          stop_q, ar_valid_q;
    logic [63:0]   ar_addr_q;
    logic [7:0]    ar_len_q;
    logic [FW-1:0] flight_q;
    logic [WS-1:0] w_space_q;  // beats of the FIFO that are neither held nor reserved
    logic [XS-1:0] x_space_q;

    logic       slot, w_fits, x_fits, done;
    logic [8:0] w_beats, x_beats;
    assign w_beats  = 9'(wb_len) + 9'd1;
    assign x_beats  = 9'(xb_len) + 9'd1;
    assign w_fits   = WC'(w_space_q) >= WC'(w_beats);
    assign x_fits   = XC'(x_space_q) >= XC'(x_beats);
    assign slot     = (!ar_valid_q || m_arready) && !stop_q && (flight_q != FW'(OUTSTANDING));
    assign xb_ready = slot && x_fits;
    logic take_w, take_x;
    assign take_x   = xb_valid && xb_ready;
    assign wb_ready = slot && w_fits && !take_x;
    assign take_w   = wb_valid && wb_ready;

    // Which FIFO the beats in flight belong to; length and address of the bursts.
    logic           o_valid, o_class, unused_o_ready;
    logic [7:0]     o_len;
    logic [63-LB:0] o_beat;
    logic [$clog2((OUTSTANDING < 2 ? 2 : OUTSTANDING) + 1)-1:0] unused_o_count;
    fifo #(.W(1 + 8 + 64 - LB), .DEPTH(OUTSTANDING < 2 ? 2 : OUTSTANDING)) u_order (
        .clk, .rst,
        .in_valid(take_w || take_x), .in_ready(unused_o_ready),
        .in_data(take_x ? {1'b1, xb_len, xb_addr[63:LB]} : {1'b0, wb_len, wb_addr[63:LB]}),
        .out_valid(o_valid), .out_ready(done), .out_data({o_class, o_len, o_beat}), .count(unused_o_count)
    );

    // Arrival: R is registered, then sorted.
    logic          r_valid_q, r_fail_q, r_last_q;
    logic [PW-1:0] r_data_q;
    logic [7:0]    r_index_q;  // beat within its burst
    logic          arrive, last, fail;
    assign arrive = r_valid_q && o_valid;
    assign last   = r_index_q == o_len;
    assign done   = arrive && last;
    assign fail   = r_fail_q || (r_last_q != last);

    logic           bad_q;
    logic [63-LB:0] bad_beat_q;

    logic [WS-1:0] w_taken;
    logic [XS-1:0] x_taken;
    assign w_taken = take_w ? WS'(w_beats) : '0;
    assign x_taken = take_x ? XS'(x_beats) : '0;

    always_ff @(posedge clk) begin
        if (rst) begin
            stop_q     <= 1'b0;
            ar_valid_q <= 1'b0;
            flight_q   <= '0;
            w_space_q  <= WS'(W_DEPTH);
            x_space_q  <= XS'(X_DEPTH);
            r_valid_q  <= 1'b0;
            r_index_q  <= 8'd0;
            bad_q      <= 1'b0;
        end else begin
            stop_q     <= stop;
            ar_valid_q <= take_w || take_x || (ar_valid_q && !m_arready);
            flight_q   <= flight_q + FW'(take_w || take_x) - FW'(done);
            w_space_q  <= w_space_q - w_taken + WS'(w_valid && w_ready);
            x_space_q  <= x_space_q - x_taken + XS'(x_valid && x_ready);
            r_valid_q  <= m_rvalid;
            if (arrive) r_index_q <= last ? 8'd0 : r_index_q + 8'd1;
            bad_q      <= arrive && fail;
        end
    end

    always_ff @(posedge clk) begin
        if (take_w || take_x) begin
            ar_addr_q <= take_x ? xb_addr : wb_addr;
            ar_len_q  <= take_x ? xb_len : wb_len;
        end
        r_data_q   <= m_rdata;
        r_fail_q   <= m_rresp[1];
        r_last_q   <= m_rlast;
        bad_beat_q <= o_beat + (64-LB)'(r_index_q);
    end

    logic          unused_w_in_ready, unused_x_in_ready;
    logic [WS-1:0] unused_w_count;
    logic [XS-1:0] unused_x_count;
    fifo #(.W(PW), .DEPTH(W_DEPTH)) u_wfifo (
        .clk, .rst,
        .in_valid(arrive && !o_class), .in_ready(unused_w_in_ready), .in_data(fail ? '0 : r_data_q),
        .out_valid(w_valid), .out_ready(w_ready), .out_data(w_data), .count(unused_w_count)
    );
    fifo #(.W(PW), .DEPTH(X_DEPTH)) u_xfifo (
        .clk, .rst,
        .in_valid(arrive && o_class), .in_ready(unused_x_in_ready), .in_data(fail ? '0 : r_data_q),
        .out_valid(x_valid), .out_ready(x_ready), .out_data(x_data), .count(unused_x_count)
    );

    assign m_arvalid = ar_valid_q;
    assign m_araddr  = ar_addr_q;
    assign m_arlen   = ar_len_q;
    assign quiet     = !ar_valid_q && (flight_q == '0) && !bad_q;
    assign beat      = r_valid_q;
    assign bad       = bad_q;
    assign bad_addr  = {bad_beat_q, {LB{1'b0}}};

    logic unused_rresp;
    assign unused_rresp = &{1'b0, m_rresp[0], xb_addr[LB-1:0], wb_addr[LB-1:0]};
endmodule
