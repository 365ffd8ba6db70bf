// regs: the AXI4-Lite register file (map in regmap_pkg, generated from spec/src/regmap.rs), doorbell, page table writes, memory
// port bases, counters, first error, interrupt, and the reset of the core.
//
// A write needs all four byte strobes; an unknown address, a read-only register, a partial write or one that is refused (while
// busy or in a soft reset, as the map says; a port or a page that is not there) answers SLVERR and does nothing. A write acts in the cycle after both its address
// and its data are there; a read answers in the next cycle. The doorbell starts nothing (error WRONG_IMAGE) unless the image
// hashes equal the hardware's. Soft reset: stop rises, both masters drain, then core_rst is high for RESET_CYCLES, then stop falls.
module regs #(
    parameter int P        = 1,
    parameter int LANES    = 80,
    parameter int BATCH    = 4,
    parameter int VEC      = 4,
    parameter int KVB      = 8,
    parameter int TWO_BIT  = 0,
    parameter int PW       = 128,
    parameter int CONTEXT  = 256,
    parameter int PAGES    = 16,    // entries of the page table
    parameter int HW_HASH_0 = 0,    // 16 bits each, lowest first
    parameter int HW_HASH_1 = 0,
    parameter int HW_HASH_2 = 0,
    parameter int HW_HASH_3 = 0,
    parameter int NUM_HASH_0 = 0,
    parameter int NUM_HASH_1 = 0,
    parameter int NUM_HASH_2 = 0,
    parameter int NUM_HASH_3 = 0,
    parameter int SW0      = 1,     // widths of the saturation counts a cycle
    parameter int SW1      = 1,
    parameter int SW2      = 1,
    parameter int SW3      = 1,
    parameter int SW4      = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            s_awvalid,
    output logic            s_awready,
    input  logic [11:0]     s_awaddr,
    input  logic            s_wvalid,
    output logic            s_wready,
    input  logic [31:0]     s_wdata,
    input  logic [3:0]      s_wstrb,
    output logic            s_bvalid,
    input  logic            s_bready,
    output logic [1:0]      s_bresp,
    input  logic            s_arvalid,
    output logic            s_arready,
    input  logic [11:0]     s_araddr,
    output logic            s_rvalid,
    input  logic            s_rready,
    output logic [31:0]     s_rdata,
    output logic [1:0]      s_rresp,
    output logic            irq,
    output logic            core_rst,
    output logic            stop,
    output logic [64*P-1:0] base,
    output logic            go_valid,
    input  logic            go_ready,
    output logic [31:0]     go_ptr,
    output logic [15:0]     go_count,
    output logic            ptw_valid,
    input  logic            ptw_ready,
    output logic [15:0]     ptw_index,
    output logic [31:0]     ptw_entry,
    output logic            ptr_valid,
    input  logic            ptr_ready,
    output logic [15:0]     ptr_index,
    output logic [31:0]     ptr_entry,
    input  logic            busy,
    input  logic            finished,
    input  logic            ctrl_err,
    input  logic            ctrl_err_field,
    input  logic [31:0]     ctrl_err_off,
    input  logic            read_idle,
    input  logic            read_err,
    input  logic [4:0]      read_err_port,
    input  logic [63:0]     read_err_addr,
    input  logic            write_idle,
    input  logic            write_err,
    input  logic [4:0]      write_err_port,
    input  logic [63:0]     write_err_addr,
    input  logic            bad,
    input  logic [31:0]     bad_word,
    input  logic            array_busy,
    input  logic            wait_w,
    input  logic            wait_act,
    input  logic            wait_out,
    input  logic            attn_busy,
    input  logic [SW0-1:0]  sat0,
    input  logic [SW1-1:0]  sat1,
    input  logic [SW2-1:0]  sat2,
    input  logic [SW3-1:0]  sat3,
    input  logic [SW4-1:0]  sat4,
    input  logic [P-1:0]    beats_inc
);
    localparam int COUNTERS = regmap_pkg::COUNTERS;
    localparam logic [regmap_pkg::WORDS-1:0] WRITABLE = regmap_pkg::WRITABLE, REFUSED_BUSY = regmap_pkg::REFUSED_BUSY,
                                             REFUSED_SOFT_RESET = regmap_pkg::REFUSED_SOFT_RESET;
    localparam logic [63:0] HW_HASH  = {16'(HW_HASH_3), 16'(HW_HASH_2), 16'(HW_HASH_1), 16'(HW_HASH_0)};
    localparam logic [63:0] NUM_HASH = {16'(NUM_HASH_3), 16'(NUM_HASH_2), 16'(NUM_HASH_1), 16'(NUM_HASH_0)};

    localparam logic [31:0] CAPS0 = (32'(LANES) << regmap_pkg::CAPS0_LANES) | (32'(BATCH) << regmap_pkg::CAPS0_BATCH)
                                    | (32'(VEC) << regmap_pkg::CAPS0_VEC) | (32'(KVB) << regmap_pkg::CAPS0_KV_BITS)
                                    | (32'(TWO_BIT) << regmap_pkg::CAPS0_TWO_BIT);
    localparam logic [31:0] CAPS1 = (32'(P) << regmap_pkg::CAPS1_PORTS) | (32'(PW) << regmap_pkg::CAPS1_PORT_BITS)
                                    | (32'(CONTEXT) << regmap_pkg::CAPS1_CONTEXT);

    // ---- soft reset
    localparam logic [1:0] R_RUN = 2'd0, R_DRAIN = 2'd1, R_RESET = 2'd2;
    logic [1:0] r_q;
    logic [2:0] r_count_q;
    wire drained = read_idle && write_idle;
    assign stop = r_q != R_RUN;
    assign core_rst = r_q == R_RESET;

    // ---- write channel
    logic        aw_q, w_q, b_q, b_err_q;
    logic [11:0] awaddr_q;
    logic [31:0] wdata_q;
    logic        wfull_q;
    assign s_awready = !aw_q;
    assign s_wready  = !w_q;
    assign s_bvalid  = b_q;
    assign s_bresp   = {b_err_q, 1'b0};
    wire act = aw_q && w_q && !b_q;
    // Writable words of the map; above it are the counters.
    wire [$clog2(regmap_pkg::WORDS)-1:0] word = awaddr_q[2 +: $clog2(regmap_pkg::WORDS)];
    wire known = awaddr_q < regmap_pkg::COUNTER_BASE && awaddr_q[1:0] == 2'd0 && WRITABLE[word];
    // A page entry waits until both readers of the table have taken the last one.
    logic ptw_q, ptr_q;
    wire pt_wait = awaddr_q == regmap_pkg::PT_ENTRY && (ptw_q || ptr_q);
    wire commit  = act && !pt_wait;

    // ---- registers
    logic [31:0] desc_ptr_q, pt_index_q, pt_entry_q;
    logic [15:0] pt_slot_q;    // index that belongs to pt_entry_q
    logic [63:0] img_hw_q, img_num_q;
    logic [4:0]  port_sel_q;
    logic [1:0]  irq_status_q, irq_mask_q;
    logic        go_q, busy_q;
    logic [15:0] go_count_q;
    logic        err_q;
    logic [7:0]  err_code_q;
    logic [4:0]  err_port_q;
    logic [63:0] err_addr_q;
    logic [64*P-1:0] base_q;
    logic [64*COUNTERS-1:0] count_q, snap_q;
    logic [64*P-1:0] beats_q, beats_snap_q;

    wire image_ok = img_hw_q == HW_HASH && img_num_q == NUM_HASH;
    wire running  = busy || go_q;
    wire [15:0] count = wdata_q[regmap_pkg::DOORBELL_COUNT +: 16];
    // Refused: what its register does not take while busy or during a soft reset (regmap_pkg), a doorbell of no descriptor, an entry
    // beyond the page table, a base of a port that is not there.
    wire refused  = (running && REFUSED_BUSY[word]) || (r_q != R_RUN && REFUSED_SOFT_RESET[word])
                    || (awaddr_q == regmap_pkg::DOORBELL && count == 16'd0)
                    || (awaddr_q == regmap_pkg::PT_ENTRY && pt_index_q >= PAGES)
                    || ((awaddr_q == regmap_pkg::PORT_BASE_LO || awaddr_q == regmap_pkg::PORT_BASE_HI) && 32'(port_sel_q) >= P);
    wire wr       = commit && known && wfull_q && !refused;
    wire bell     = wr && awaddr_q == regmap_pkg::DOORBELL;
    wire wrong    = bell && !image_ok;
    wire soft_reset     = wr && awaddr_q == regmap_pkg::CONTROL && wdata_q[regmap_pkg::CONTROL_SOFT_RESET];
    wire snap     = wr && awaddr_q == regmap_pkg::SNAPSHOT;
    wire clear    = core_rst;

    assign go_valid  = go_q;
    assign go_ptr    = desc_ptr_q;
    assign go_count  = go_count_q;
    assign ptw_valid = ptw_q;
    assign ptr_valid = ptr_q;
    assign ptw_index = pt_slot_q;
    assign ptr_index = pt_slot_q;
    assign ptw_entry = pt_entry_q;
    assign ptr_entry = pt_entry_q;
    assign base      = base_q;
    assign irq       = |(irq_status_q & irq_mask_q);

    // First error wins; in one cycle the order is that of the codes.
    logic        new_err;
    logic [7:0]  new_code;
    logic [4:0]  new_port;
    logic [63:0] new_addr;
    always_comb begin
        new_err  = 1'b1;
        new_code = regmap_pkg::ERR_NONE;
        new_port = 5'd0;
        new_addr = 64'd0;
        if (wrong) begin
            new_code = regmap_pkg::ERR_WRONG_IMAGE;
        end else if (ctrl_err) begin
            new_code = ctrl_err_field ? regmap_pkg::ERR_BAD_DESCRIPTOR : regmap_pkg::ERR_BAD_OPCODE;
            new_addr = {32'd0, ctrl_err_off};
        end else if (read_err) begin
            new_code = regmap_pkg::ERR_READ_ERROR;
            new_port = read_err_port;
            new_addr = read_err_addr;
        end else if (write_err) begin
            new_code = regmap_pkg::ERR_WRITE_ERROR;
            new_port = write_err_port;
            new_addr = write_err_addr;
        end else if (bad) begin
            new_code = regmap_pkg::ERR_BAD_WEIGHT;
            new_addr = {32'd0, bad_word};
        end else begin
            new_err = 1'b0;
        end
    end

    // ---- interrupt: running falls after the last write was answered
    logic [1:0] irq_set;
    assign irq_set[regmap_pkg::IRQ_STATUS_IDLE]  = busy_q && !running && !clear;
    assign irq_set[regmap_pkg::IRQ_STATUS_ERROR] = new_err && !err_q && !clear;
    wire [1:0] irq_ack = (wr && awaddr_q == regmap_pkg::IRQ_STATUS) ? wdata_q[1:0] : 2'd0;

    // ---- read channel
    logic        rv_q, r_err_q;
    logic [31:0] rdata_q, rdata_d;
    logic        r_err_d;
    assign s_arready = !rv_q;
    assign s_rvalid  = rv_q;
    assign s_rdata   = rdata_q;
    assign s_rresp   = {r_err_q, 1'b0};
    wire [31:0] status = (32'(running) << regmap_pkg::STATUS_BUSY) | (32'(err_q) << regmap_pkg::STATUS_ERROR)
                         | (32'(stop) << regmap_pkg::STATUS_SOFT_RESET);
    wire [31:0] error  = (32'(err_code_q) << regmap_pkg::ERR_CODE_CODE) | (32'(err_port_q) << regmap_pkg::ERR_CODE_PORT);
    wire [8:0] counter_word = 9'((s_araddr - regmap_pkg::COUNTER_BASE) >> 2);
    logic [63:0] sel_base, sel_beats;
    assign sel_base  = (32'(port_sel_q) < P) ? base_q[32'(port_sel_q)*64 +: 64] : 64'd0;
    assign sel_beats = (32'(port_sel_q) < P) ? beats_snap_q[32'(port_sel_q)*64 +: 64] : 64'd0;
    always_comb begin
        r_err_d = 1'b0;
        rdata_d = 32'd0;
        case (s_araddr)
            regmap_pkg::MAGIC:           rdata_d = regmap_pkg::MAGIC_VALUE;
            regmap_pkg::VERSION:         rdata_d = regmap_pkg::VERSION_VALUE;
            regmap_pkg::HW_HASH_LO:      rdata_d = HW_HASH[31:0];
            regmap_pkg::HW_HASH_HI:      rdata_d = HW_HASH[63:32];
            regmap_pkg::NUM_HASH_LO:     rdata_d = NUM_HASH[31:0];
            regmap_pkg::NUM_HASH_HI:     rdata_d = NUM_HASH[63:32];
            regmap_pkg::CAPS0:           rdata_d = CAPS0;
            regmap_pkg::CAPS1:           rdata_d = CAPS1;
            regmap_pkg::CONTROL, regmap_pkg::DOORBELL, regmap_pkg::SNAPSHOT, regmap_pkg::PT_ENTRY: rdata_d = 32'd0;
            regmap_pkg::STATUS:          rdata_d = status;
            regmap_pkg::ERR_CODE:        rdata_d = error;
            regmap_pkg::ERR_ADDR_LO:     rdata_d = err_addr_q[31:0];
            regmap_pkg::ERR_ADDR_HI:     rdata_d = err_addr_q[63:32];
            regmap_pkg::IRQ_STATUS:      rdata_d = {30'd0, irq_status_q};
            regmap_pkg::IRQ_MASK:        rdata_d = {30'd0, irq_mask_q};
            regmap_pkg::DESC_PTR:        rdata_d = desc_ptr_q;
            regmap_pkg::IMG_HW_HASH_LO:  rdata_d = img_hw_q[31:0];
            regmap_pkg::IMG_HW_HASH_HI:  rdata_d = img_hw_q[63:32];
            regmap_pkg::IMG_NUM_HASH_LO: rdata_d = img_num_q[31:0];
            regmap_pkg::IMG_NUM_HASH_HI: rdata_d = img_num_q[63:32];
            regmap_pkg::PT_INDEX:        rdata_d = pt_index_q;
            regmap_pkg::PORT_SEL:        rdata_d = {27'd0, port_sel_q};
            regmap_pkg::PORT_BASE_LO:    rdata_d = sel_base[31:0];
            regmap_pkg::PORT_BASE_HI:    rdata_d = sel_base[63:32];
            regmap_pkg::PORT_BEATS_LO:   rdata_d = sel_beats[31:0];
            regmap_pkg::PORT_BEATS_HI:   rdata_d = sel_beats[63:32];
            default: begin
                if (s_araddr >= regmap_pkg::COUNTER_BASE && 32'(counter_word) < 2 * COUNTERS && s_araddr[1:0] == 2'd0)
                    rdata_d = snap_q[32'(counter_word)*32 +: 32];
                else
                    r_err_d = 1'b1;
            end
        endcase
    end

    // ---- counters
    wire [COUNTERS-1:0] count_one;
    assign count_one[regmap_pkg::COUNT_CYCLES]       = busy;
    assign count_one[regmap_pkg::COUNT_ARRAY_BUSY]   = array_busy;
    assign count_one[regmap_pkg::COUNT_WAIT_WEIGHTS] = wait_w;
    assign count_one[regmap_pkg::COUNT_WAIT_ACT]     = wait_act;
    assign count_one[regmap_pkg::COUNT_WAIT_OUT]     = wait_out;
    assign count_one[regmap_pkg::COUNT_ATTN_BUSY]    = attn_busy;
    assign count_one[regmap_pkg::COUNT_SATURATIONS]  = 1'b0;  // these come several a cycle
    assign count_one[regmap_pkg::COUNT_DESCRIPTORS]  = finished;
    wire [63:0] sat_add = 64'(sat0) + 64'(sat1) + 64'(sat2) + 64'(sat3) + 64'(sat4);
    genvar i;
    generate
        for (i = 0; i < COUNTERS; i = i + 1) begin : g_count
            wire [63:0] add = (i == regmap_pkg::COUNT_SATURATIONS) ? sat_add : {63'd0, count_one[i]};
            always_ff @(posedge clk) begin
                if (rst) begin
                    count_q[i*64 +: 64] <= 64'd0;
                    snap_q[i*64 +: 64]  <= 64'd0;
                end else begin
                    count_q[i*64 +: 64] <= count_q[i*64 +: 64] + add;
                    if (snap) snap_q[i*64 +: 64] <= count_q[i*64 +: 64];
                end
            end
        end
        for (i = 0; i < P; i = i + 1) begin : g_port
            always_ff @(posedge clk) begin
                if (rst) begin
                    beats_q[i*64 +: 64]      <= 64'd0;
                    beats_snap_q[i*64 +: 64] <= 64'd0;
                    base_q[i*64 +: 64]       <= 64'd0;
                end else begin
                    beats_q[i*64 +: 64] <= beats_q[i*64 +: 64] + {63'd0, beats_inc[i]};
                    if (snap) beats_snap_q[i*64 +: 64] <= beats_q[i*64 +: 64];
                    if (wr && awaddr_q == regmap_pkg::PORT_BASE_LO && 32'(port_sel_q) == i) base_q[i*64 +: 32] <= wdata_q;
                    if (wr && awaddr_q == regmap_pkg::PORT_BASE_HI && 32'(port_sel_q) == i) base_q[i*64+32 +: 32] <= wdata_q;
                end
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (rst) begin
            aw_q <= 1'b0;
            w_q <= 1'b0;
            b_q <= 1'b0;
            b_err_q <= 1'b0;
            rv_q <= 1'b0;
            r_err_q <= 1'b0;
            r_q <= R_RUN;
            r_count_q <= 3'd0;
            desc_ptr_q <= 32'd0;
            pt_index_q <= 32'd0;
            pt_entry_q <= 32'd0;
            pt_slot_q <= 16'd0;
            img_hw_q <= 64'd0;
            img_num_q <= 64'd0;
            port_sel_q <= 5'd0;
            irq_status_q <= 2'd0;
            irq_mask_q <= 2'd0;
            go_q <= 1'b0;
            go_count_q <= 16'd0;
            busy_q <= 1'b0;
            ptw_q <= 1'b0;
            ptr_q <= 1'b0;
            err_q <= 1'b0;
            err_code_q <= regmap_pkg::ERR_NONE;
            err_port_q <= 5'd0;
            err_addr_q <= 64'd0;
        end else begin
            // write channel
            if (s_awvalid && !aw_q) aw_q <= 1'b1;
            else if (commit) aw_q <= 1'b0;
            if (s_wvalid && !w_q) w_q <= 1'b1;
            else if (commit) w_q <= 1'b0;
            if (commit) begin
                b_q <= 1'b1;
                b_err_q <= !wr;
            end else if (s_bready) b_q <= 1'b0;
            // read channel
            if (s_arvalid && !rv_q) begin
                rv_q <= 1'b1;
                r_err_q <= r_err_d;
            end else if (s_rready) rv_q <= 1'b0;
            // plain registers
            if (wr) begin
                case (awaddr_q)
                    regmap_pkg::DESC_PTR:        desc_ptr_q <= wdata_q;
                    regmap_pkg::PT_INDEX:        pt_index_q <= wdata_q;
                    regmap_pkg::PT_ENTRY: begin
                        pt_entry_q <= wdata_q;
                        pt_slot_q <= pt_index_q[15:0];
                    end
                    regmap_pkg::IMG_HW_HASH_LO:  img_hw_q[31:0] <= wdata_q;
                    regmap_pkg::IMG_HW_HASH_HI:  img_hw_q[63:32] <= wdata_q;
                    regmap_pkg::IMG_NUM_HASH_LO: img_num_q[31:0] <= wdata_q;
                    regmap_pkg::IMG_NUM_HASH_HI: img_num_q[63:32] <= wdata_q;
                    regmap_pkg::PORT_SEL:        port_sel_q <= wdata_q[4:0];
                    regmap_pkg::IRQ_MASK:        irq_mask_q <= wdata_q[1:0];
                    default: ;
                endcase
            end
            // doorbell and page table
            if (clear) go_q <= 1'b0;
            else if (bell && image_ok) begin
                go_q <= 1'b1;
                go_count_q <= count;
            end else if (go_ready) go_q <= 1'b0;
            if (clear) begin
                ptw_q <= 1'b0;
                ptr_q <= 1'b0;
            end else if (wr && awaddr_q == regmap_pkg::PT_ENTRY) begin
                ptw_q <= 1'b1;
                ptr_q <= 1'b1;
            end else begin
                if (ptw_ready) ptw_q <= 1'b0;
                if (ptr_ready) ptr_q <= 1'b0;
            end
            // soft reset
            case (r_q)
                R_RUN: if (soft_reset) r_q <= R_DRAIN;
                R_DRAIN: if (drained) begin
                    r_q <= R_RESET;
                    r_count_q <= 3'd0;
                end
                default: begin
                    r_count_q <= r_count_q + 3'd1;
                    if (r_count_q == 3'(regmap_pkg::RESET_CYCLES - 1)) r_q <= R_RUN;
                end
            endcase
            // first error and interrupt
            busy_q <= running;
            if (clear) begin
                err_q <= 1'b0;
                err_code_q <= regmap_pkg::ERR_NONE;
                err_port_q <= 5'd0;
                err_addr_q <= 64'd0;
            end else if (new_err && !err_q) begin
                err_q <= 1'b1;
                err_code_q <= new_code;
                err_port_q <= new_port;
                err_addr_q <= new_addr;
            end
            irq_status_q <= irq_set | (irq_status_q & ~irq_ack);
        end
        if (s_awvalid && !aw_q) awaddr_q <= s_awaddr;
        if (s_wvalid && !w_q) begin
            wdata_q <= s_wdata;
            wfull_q <= &s_wstrb;
        end
        if (s_arvalid && !rv_q) rdata_q <= rdata_d;
    end
endmodule
