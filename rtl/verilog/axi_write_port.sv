// axi_write_port: AXI4 write master of one memory port.
// In: streams seg {off, beats} and d {data, strb} (the segments' beats in order), levels base and stop; AXI B.
// Out: AXI AW and W.
// A burst is announced only when all of its data lie here, so an announced burst always completes, whatever happens
// upstream; AWVALID and its first WVALID rise in the same cycle. The next AW does not wait for B. m_bready is constant 1.
// While stop is high no burst is announced. quiet: no announced burst is without its response; empty: nothing waits.
module axi_write_port #(
    parameter int PW = 128,         // bits of the data bus
    parameter int BURST = 16,       // longest burst, beats
    parameter int OUTSTANDING = 32, // bursts announced and not answered, 2 to 64
    parameter int DEPTH = 32        // beats of the data FIFO, at least BURST
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            seg_valid,
    output logic            seg_ready,
    input  logic [31:0]     seg_off,
    input  logic [15:0]     seg_beats,
    input  logic            d_valid,
    output logic            d_ready,
    input  logic [PW-1:0]   d_data,
    input  logic [PW/8-1:0] d_strb,
    input  logic [63:0]     base,
    input  logic            stop,
    output logic            m_awvalid,
    input  logic            m_awready,
    output logic [63:0]     m_awaddr,
    output logic [7:0]      m_awlen,
    output logic            m_wvalid,
    input  logic            m_wready,
    output logic [PW-1:0]   m_wdata,
    output logic [PW/8-1:0] m_wstrb,
    output logic            m_wlast,
    input  logic            m_bvalid,
    input  logic [1:0]      m_bresp,
    output logic            quiet,
    output logic            empty,
    output logic            bad,       // an error response arrived
    output logic [63:0]     bad_addr   // first address of its burst
);
    localparam int LB = $clog2(PW / 8);
    localparam int DS = $clog2(DEPTH + 1);
    localparam int DC = DS > 9 ? DS : 9;
    localparam int FW = $clog2(OUTSTANDING + 1);

    logic        b_valid, b_ready, b_empty;
    logic [63:0] b_addr;
    logic [7:0]  b_len;
    axi_burst #(.PW(PW), .BURST(BURST)) u_burst (
        .clk, .rst,
        .seg_valid, .seg_ready, .seg_off, .seg_beats(32'(seg_beats)), .base,
        .burst_valid(b_valid), .burst_ready(b_ready), .burst_addr(b_addr), .burst_len(b_len), .empty(b_empty)
    );

    logic          f_valid, f_ready;
    logic [DS-1:0] f_count;
    fifo #(.W(PW + PW / 8), .DEPTH(DEPTH)) u_data (
        .clk, .rst,
        .in_valid(d_valid), .in_ready(d_ready), .in_data({d_strb, d_data}),
        .out_valid(f_valid), .out_ready(f_ready), .out_data({m_wstrb, m_wdata}), .count(f_count)
    );

    // Announce: one burst a cycle into the AW register.
    logic          stop_q, aw_valid_q;
    logic [63:0]   aw_addr_q;
    logic [7:0]    aw_len_q;
    logic [FW-1:0] flight_q;
    logic [DS-1:0] fill_q;  // beats in the data FIFO that belong to no announced burst
    logic [8:0]    b_beats;
    logic          take;
    assign b_beats = 9'(b_len) + 9'd1;
    assign b_ready = (!aw_valid_q || m_awready) && !stop_q && (flight_q != FW'(OUTSTANDING)) && (DC'(fill_q) >= DC'(b_beats));
    assign take    = b_valid && b_ready;

    logic       l_valid, l_ready, unused_l_in_ready;
    logic [7:0] l_len;
    logic [FW-1:0] unused_l_count;
    fifo #(.W(8), .DEPTH(OUTSTANDING)) u_len (
        .clk, .rst,
        .in_valid(take), .in_ready(unused_l_in_ready), .in_data(b_len),
        .out_valid(l_valid), .out_ready(l_ready), .out_data(l_len), .count(unused_l_count)
    );
    logic [7:0] w_index_q;
    logic       w_move;
    assign m_wvalid = f_valid && l_valid;
    assign m_wlast  = w_index_q == l_len;
    assign w_move   = m_wvalid && m_wready;
    assign f_ready  = l_valid && m_wready;
    assign l_ready  = w_move && m_wlast;

    // Responses come in order.
    logic           a_valid, unused_a_in_ready;
    logic [63-LB:0] a_beat;
    logic [FW-1:0]  unused_a_count;
    logic           resp_valid_q, resp_fail_q, answer;
    fifo #(.W(64 - LB), .DEPTH(OUTSTANDING)) u_addr (
        .clk, .rst,
        .in_valid(take), .in_ready(unused_a_in_ready), .in_data(b_addr[63:LB]),
        .out_valid(a_valid), .out_ready(resp_valid_q), .out_data(a_beat), .count(unused_a_count)
    );
    assign answer = resp_valid_q && a_valid;

    logic           bad_q;
    logic [63-LB:0] bad_beat_q;
    logic [DS-1:0]  taken;
    assign taken = take ? DS'(b_beats) : '0;

    always_ff @(posedge clk) begin
        if (rst) begin
            stop_q       <= 1'b0;
            aw_valid_q   <= 1'b0;
            flight_q     <= '0;
            fill_q       <= '0;
            w_index_q    <= 8'd0;
            resp_valid_q <= 1'b0;
            bad_q        <= 1'b0;
        end else begin
            stop_q       <= stop;
            aw_valid_q   <= take || (aw_valid_q && !m_awready);
            flight_q     <= flight_q + FW'(take) - FW'(answer);
            fill_q       <= fill_q - taken + DS'(d_valid && d_ready);
            if (w_move) w_index_q <= m_wlast ? 8'd0 : w_index_q + 8'd1;
            resp_valid_q <= m_bvalid;
            bad_q        <= answer && resp_fail_q;
        end
    end

    always_ff @(posedge clk) begin
        if (take) begin
            aw_addr_q <= b_addr;
            aw_len_q  <= b_len;
        end
        resp_fail_q <= m_bresp[1];
        bad_beat_q  <= a_beat;
    end

    assign m_awvalid = aw_valid_q;
    assign m_awaddr  = aw_addr_q;
    assign m_awlen   = aw_len_q;
    assign quiet     = (flight_q == '0) && !aw_valid_q && !l_valid && !bad_q;
    assign empty     = b_empty && (f_count == '0);
    assign bad       = bad_q;
    assign bad_addr  = {bad_beat_q, {LB{1'b0}}};

    logic unused_bits;
    assign unused_bits = &{1'b0, m_bresp[0], b_addr[LB-1:0]};
endmodule
