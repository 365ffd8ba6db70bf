// axi_write: AXI4 write master of P ports. Takes segments of super-words (one beat of every port) from two clients.
// In: streams aseg, bseg {off, beats}, ad, bd {data, strb} (the super-words of the client's segments in order), levels base
// and stop; AXI B of every port. Out: AXI AW and W.
// Client a goes before b, a segment is not interleaved. Super-word off lies at byte base + off * PW/8 of every port.
// stop: no burst is announced any more, those announced complete. idle: nothing waits here and every burst is answered;
// while stop is high: every announced burst is answered.
// err, err_port, err_addr: the first burst answered with an error since reset (the lowest port of several).
module axi_write #(
    parameter int P = 1,             // ports, 1 to 32
    parameter int PW = 128,          // bits of a port
    parameter int BURST = 16,        // longest burst, beats
    parameter int OUTSTANDING = 32,  // bursts announced and not answered, a port
    parameter int DEPTH = 32         // data FIFO, beats a port
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                aseg_valid,
    output logic                aseg_ready,
    input  logic [31:0]         aseg_off,
    input  logic [15:0]         aseg_beats,
    input  logic                ad_valid,
    output logic                ad_ready,
    input  logic [P*PW-1:0]     ad_data,
    input  logic [P*PW/8-1:0]   ad_strb,
    input  logic                bseg_valid,
    output logic                bseg_ready,
    input  logic [31:0]         bseg_off,
    input  logic [15:0]         bseg_beats,
    input  logic                bd_valid,
    output logic                bd_ready,
    input  logic [P*PW-1:0]     bd_data,
    input  logic [P*PW/8-1:0]   bd_strb,
    input  logic [64*P-1:0]     base,
    input  logic                stop,
    output logic [P-1:0]        m_awvalid,
    input  logic [P-1:0]        m_awready,
    output logic [64*P-1:0]     m_awaddr,
    output logic [8*P-1:0]      m_awlen,
    output logic [3*P-1:0]      m_awsize,
    output logic [2*P-1:0]      m_awburst,
    output logic [P-1:0]        m_wvalid,
    input  logic [P-1:0]        m_wready,
    output logic [P*PW-1:0]     m_wdata,
    output logic [P*PW/8-1:0]   m_wstrb,
    output logic [P-1:0]        m_wlast,
    input  logic [P-1:0]        m_bvalid,
    output logic [P-1:0]        m_bready,
    input  logic [2*P-1:0]      m_bresp,
    output logic                idle,
    output logic                err,
    output logic [4:0]          err_port,
    output logic [63:0]         err_addr
);
    localparam int W = P * PW;
    localparam int SEG = stream_pkg::OFFSET_BITS + stream_pkg::WRITE_BEATS_BITS;

    assign m_awsize  = {P{3'($clog2(PW / 8))}};
    assign m_awburst = {P{2'b01}};
    assign m_bready  = {P{1'b1}};

    logic           as_valid, as_ready, bs_valid, bs_ready, av, ar, bv, br;
    logic [31:0]    as_off, bs_off;
    logic [15:0]    as_beats, bs_beats;
    logic [W-1:0]   a_data, b_data;
    logic [W/8-1:0] a_strb, b_strb;
    skid #(.W(SEG)) u_aseg (
        .clk, .rst,
        .in_valid(aseg_valid), .in_ready(aseg_ready), .in_data({aseg_beats, aseg_off}),
        .out_valid(as_valid), .out_ready(as_ready), .out_data({as_beats, as_off})
    );
    skid #(.W(SEG)) u_bseg (
        .clk, .rst,
        .in_valid(bseg_valid), .in_ready(bseg_ready), .in_data({bseg_beats, bseg_off}),
        .out_valid(bs_valid), .out_ready(bs_ready), .out_data({bs_beats, bs_off})
    );
    skid #(.W(W + W / 8)) u_ad (
        .clk, .rst,
        .in_valid(ad_valid), .in_ready(ad_ready), .in_data({ad_strb, ad_data}),
        .out_valid(av), .out_ready(ar), .out_data({a_strb, a_data})
    );
    skid #(.W(W + W / 8)) u_bd (
        .clk, .rst,
        .in_valid(bd_valid), .in_ready(bd_ready), .in_data({bd_strb, bd_data}),
        .out_valid(bv), .out_ready(br), .out_data({b_strb, b_data})
    );

    // The segment whose data pass: the next one is granted in the cycle of the last word, so no cycle is lost.
    logic         busy_q, sel_q;  // sel_q: client b
    logic [15:0]  left_q;
    logic [P-1:0] p_seg_ready, p_d_ready;
    logic         can, grant, d_valid, move, ends;
    assign d_valid  = busy_q && (sel_q ? bv : av);
    assign move     = d_valid && (&p_d_ready);
    assign ends     = move && (left_q == 16'd1);
    assign ar       = busy_q && !sel_q && (&p_d_ready);
    assign br       = busy_q && sel_q && (&p_d_ready);
    assign can      = (!busy_q || ends) && (&p_seg_ready);
    assign as_ready = can;
    assign bs_ready = can && !as_valid;
    assign grant    = can && (as_valid || bs_valid);

    logic [31:0]    seg_off;
    logic [15:0]    seg_beats;
    logic [W-1:0]   d_data;
    logic [W/8-1:0] d_strb;
    assign seg_off   = as_valid ? as_off : bs_off;
    assign seg_beats = as_valid ? as_beats : bs_beats;
    assign d_data    = sel_q ? b_data : a_data;
    assign d_strb    = sel_q ? b_strb : a_strb;

    logic [P-1:0]    quiet, empty, bad;
    logic [64*P-1:0] bad_addr;
    for (genvar p = 0; p < P; p++) begin : g_port
        axi_write_port #(
            .PW(PW), .BURST(BURST), .OUTSTANDING(OUTSTANDING), .DEPTH(DEPTH)
        ) u_port (
            .clk, .rst,
            .seg_valid(grant), .seg_ready(p_seg_ready[p]), .seg_off, .seg_beats,
            .d_valid(move), .d_ready(p_d_ready[p]), .d_data(d_data[PW*p+:PW]), .d_strb(d_strb[PW/8*p+:PW/8]),
            .base(base[64*p+:64]), .stop,
            .m_awvalid(m_awvalid[p]), .m_awready(m_awready[p]), .m_awaddr(m_awaddr[64*p+:64]), .m_awlen(m_awlen[8*p+:8]),
            .m_wvalid(m_wvalid[p]), .m_wready(m_wready[p]), .m_wdata(m_wdata[PW*p+:PW]), .m_wstrb(m_wstrb[PW/8*p+:PW/8]),
            .m_wlast(m_wlast[p]), .m_bvalid(m_bvalid[p]), .m_bresp(m_bresp[2*p+:2]),
            .quiet(quiet[p]), .empty(empty[p]), .bad(bad[p]), .bad_addr(bad_addr[64*p+:64])
        );
    end

    axi_first_error #(.P(P)) u_error (.clk, .rst, .bad, .bad_addr, .err, .err_port, .err_addr);

    logic stop_q;

    always_ff @(posedge clk) begin
        if (rst) begin
            stop_q     <= 1'b0;
            busy_q     <= 1'b0;
        end else begin
            stop_q <= stop;
            if (can) busy_q <= grant && (seg_beats != 16'd0);
            else if (ends) busy_q <= 1'b0;
        end
    end

    always_ff @(posedge clk) begin
        if (can) begin
            sel_q  <= !as_valid;
            left_q <= seg_beats;
        end else if (move) begin
            left_q <= left_q - 16'd1;
        end
    end

    logic waiting;
    assign waiting  = as_valid || bs_valid || av || bv || busy_q || !(&empty);
    assign idle     = (&quiet) && (stop_q || !waiting);
endmodule
