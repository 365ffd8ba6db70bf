// ctrl: executes 64-byte descriptors, one attention pass each (format: descriptor_pkg, generated from spec/src/descriptor.rs).
//
// go{ptr,count} starts count descriptors that lie one after the other from super-word offset ptr; it is accepted only while
// nothing runs. The fetch machine reads a descriptor (dseg, dest 0; words come back on desc), checks it, asks for its layer
// segment (five wseg requests in the order of consumption) and hands it to the execute machine; it runs at most one descriptor
// ahead, so weights stream on across passes. The execute machine takes the layer's constants, issues the commands of all blocks
// in the order of the data flow, one a cycle at most, and waits until the pass's last write has been answered.
// A descriptor that does not check stops the fetching: earlier ones complete, err rises with code and super-word offset.
module ctrl #(
    parameter int W        = 128,   // super-word bits
    parameter int TW       = 2,     // bits of a token index in the pass
    parameter int BATCH    = 4,
    parameter int LAYERS   = 4,
    parameter int SLOTS    = 1,
    parameter int CONTEXT  = 256,
    parameter int VEC      = 4,
    parameter int D        = 256,
    parameter int QD       = 256,
    parameter int KD       = 128,
    parameter int WPR_D    = 4,     // array words of a row of D weights
    parameter int WPR_Q    = 4,     // array words of a row of QD weights
    parameter int X_WORDS  = 64,    // super-words of one x vector
    parameter int G1_WORDS = 64,    // super-words of the sections of a layer segment
    parameter int QKV_WORDS = 2048,
    parameter int G2_WORDS = 64,
    parameter int O_WORDS  = 1024
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          go_valid,
    output logic          go_ready,
    input  logic [31:0]   go_ptr,
    input  logic [15:0]   go_count,
    input  logic          desc_valid,
    output logic          desc_ready,
    input  logic [W-1:0]  desc_data,
    input  logic          const_valid,
    output logic          const_ready,
    input  logic [W-1:0]  const_data,
    output logic          dseg_valid,
    input  logic          dseg_ready,
    output logic [31:0]   dseg_off,
    output logic [31:0]   dseg_beats,
    output logic [1:0]    dseg_dest,
    output logic          wseg_valid,
    input  logic          wseg_ready,
    output logic [31:0]   wseg_off,
    output logic [31:0]   wseg_beats,
    output logic [1:0]    wseg_dest,
    output logic          xload_valid,
    input  logic          xload_ready,
    output logic [TW:0]   xload_n,
    output logic          norm_valid,
    input  logic          norm_ready,
    output logic [14:0]   norm_groups,
    output logic [TW:0]   norm_n,
    output logic          norm_src,
    output logic          norm_dest,
    output logic [63:0]   norm_eps,
    output logic [23:0]   norm_c,
    output logic          resid_valid,
    input  logic          resid_ready,
    output logic [TW:0]   resid_n,
    output logic          unpack_valid,
    input  logic          unpack_ready,
    output logic [31:0]   unpack_words,
    output logic          tmac_valid,
    input  logic          tmac_ready,
    output logic [19:0]   tmac_acts,
    output logic [14:0]   tmac_wpr,
    output logic [19:0]   tmac_rows,
    output logic [TW:0]   tmac_n,
    output logic          tmac_dest,
    output logic          rope_valid,
    input  logic          rope_ready,
    output logic [13:0]   rope_pos,
    output logic [TW:0]   rope_n,
    output logic          headq_valid,
    input  logic          headq_ready,
    output logic [TW:0]   headq_n,
    output logic          kvwrite_valid,
    input  logic          kvwrite_ready,
    output logic [7:0]    kvwrite_layer,
    output logic [3:0]    kvwrite_slot,
    output logic [13:0]   kvwrite_pos,
    output logic [TW:0]   kvwrite_n,
    output logic          kvread_valid,
    input  logic          kvread_ready,
    output logic [7:0]    kvread_layer,
    output logic [3:0]    kvread_slot,
    output logic [13:0]   kvread_pos,
    output logic [TW:0]   kvread_n,
    output logic          attn_valid,
    input  logic          attn_ready,
    output logic [TW:0]   attn_n,
    output logic          xstore_valid,
    input  logic          xstore_ready,
    output logic [31:0]   xstore_off,
    output logic [TW:0]   xstore_n,
    input  logic          xstore_idle,
    input  logic          kvwrite_idle,
    input  logic          write_idle,
    output logic [23:0]   cq,
    output logic [23:0]   ck,
    output logic [23:0]   cv,
    output logic [23:0]   co,
    output logic          busy,
    output logic          finished,
    output logic          err,
    output logic          err_field,
    output logic [31:0]   err_off
);
    localparam int DW = (descriptor_pkg::BITS + W - 1) / W;  // super-words of a descriptor, and of the constants
    localparam int AW = DW * W;                     // bits of the capture registers
    localparam int IW = (DW > 1) ? $clog2(DW) : 1;

    // ---- go: accepted only when nothing runs
    logic        g_valid, g_take;
    logic [47:0] g_data;
    skid #(.W(48)) u_go (
        .clk, .rst, .in_valid(go_valid), .in_ready(go_ready), .in_data({go_count, go_ptr}),
        .out_valid(g_valid), .out_ready(g_take), .out_data(g_data));

    logic         dw_valid, dw_take;
    logic [W-1:0] dw_data;
    skid #(.W(W)) u_desc (
        .clk, .rst, .in_valid(desc_valid), .in_ready(desc_ready), .in_data(desc_data),
        .out_valid(dw_valid), .out_ready(dw_take), .out_data(dw_data));

    logic         cw_valid, cw_take;
    logic [W-1:0] cw_data;
    skid #(.W(W)) u_const (
        .clk, .rst, .in_valid(const_valid), .in_ready(const_ready), .in_data(const_data),
        .out_valid(cw_valid), .out_ready(cw_take), .out_data(cw_data));

    // ---- fetch machine
    localparam logic [2:0] F_IDLE = 3'd0, F_REQ = 3'd1, F_WORDS = 3'd2, F_CHECK = 3'd3, F_WSEG = 3'd4, F_PUSH = 3'd5,
                           F_ASK = 3'd6;
    logic [2:0]    f_q, f_d;
    logic [31:0]   ptr_q, ptr_d;
    logic [15:0]   left_q, left_d;
    logic [IW-1:0] fi_q, fi_d;
    logic [2:0]    sec_q, sec_d;
    logic [31:0]   woff_q, woff_d;
    logic [AW-1:0] desc_q;
    logic          err_q, err_d, err_field_q, err_field_d;
    logic [31:0]   err_off_q, err_off_d;

    // ---- execute machine
    localparam logic [1:0] X_IDLE = 2'd0, X_CONST = 2'd1, X_ISSUE = 2'd2, X_WAIT = 2'd3;
    localparam logic [3:0] LAST_STEP = 4'd14;
    logic [1:0]    x_q, x_d;
    logic [IW-1:0] xi_q, xi_d;
    logic [3:0]    step_q, step_d;
    logic          slot_full_q, slot_full_d;
    logic [AW-1:0] slot_q, job_q, const_q;
    logic          finished_q, finished_d;

    // Fields of the descriptor under check.
    wire [descriptor_pkg::OPCODE_WIDTH-1:0]  d_opcode  = desc_q[descriptor_pkg::OPCODE_LSB +: descriptor_pkg::OPCODE_WIDTH];
    wire [descriptor_pkg::VERSION_WIDTH-1:0] d_version = desc_q[descriptor_pkg::VERSION_LSB +: descriptor_pkg::VERSION_WIDTH];
    wire [descriptor_pkg::LAYER_WIDTH-1:0]   d_layer   = desc_q[descriptor_pkg::LAYER_LSB +: descriptor_pkg::LAYER_WIDTH];
    wire [descriptor_pkg::SLOT_WIDTH-1:0]    d_slot    = desc_q[descriptor_pkg::SLOT_LSB +: descriptor_pkg::SLOT_WIDTH];
    wire [descriptor_pkg::POS_WIDTH-1:0]     d_pos     = desc_q[descriptor_pkg::POS_LSB +: descriptor_pkg::POS_WIDTH];
    wire [descriptor_pkg::COUNT_WIDTH-1:0]   d_count   = desc_q[descriptor_pkg::COUNT_LSB +: descriptor_pkg::COUNT_WIDTH];
    wire d_reserved = |(desc_q[descriptor_pkg::BITS-1:0] & descriptor_pkg::RESERVED);
    wire [31:0] d_end = 32'(d_pos) + 32'(d_count);
    wire d_op_ok    = d_opcode == descriptor_pkg::OP_ATTENTION && d_version == descriptor_pkg::VERSION_VALUE;
    wire d_field_ok = 32'(d_layer) < LAYERS && 32'(d_slot) < SLOTS && d_count != '0 && 32'(d_count) <= BATCH
                      && d_end <= CONTEXT && !d_reserved;

    // Fields of the pass that executes.
    wire [TW:0]                            j_n     = job_q[descriptor_pkg::COUNT_LSB +: TW+1];
    wire [descriptor_pkg::POS_WIDTH-1:0]   j_pos   = job_q[descriptor_pkg::POS_LSB +: descriptor_pkg::POS_WIDTH];
    wire [descriptor_pkg::LAYER_WIDTH-1:0] j_layer = job_q[descriptor_pkg::LAYER_LSB +: descriptor_pkg::LAYER_WIDTH];
    wire [descriptor_pkg::SLOT_WIDTH-1:0]  j_slot  = job_q[descriptor_pkg::SLOT_LSB +: descriptor_pkg::SLOT_WIDTH];
    wire [descriptor_pkg::X_IN_WIDTH-1:0]  j_x_in  = job_q[descriptor_pkg::X_IN_LSB +: descriptor_pkg::X_IN_WIDTH];
    wire [descriptor_pkg::X_OUT_WIDTH-1:0] j_x_out = job_q[descriptor_pkg::X_OUT_LSB +: descriptor_pkg::X_OUT_WIDTH];

    // Constants of its layer.
    wire [stream_pkg::SCALE_BITS-1:0] c_norm1 = const_q[32*stream_pkg::CONST_C_NORM1 +: stream_pkg::SCALE_BITS];
    wire [stream_pkg::SCALE_BITS-1:0] c_norm2 = const_q[32*stream_pkg::CONST_C_NORM2 +: stream_pkg::SCALE_BITS];
    wire [stream_pkg::EPS_BITS-1:0]   c_eps1  = const_q[32*stream_pkg::CONST_EPS1 +: stream_pkg::EPS_BITS];
    wire [stream_pkg::EPS_BITS-1:0]   c_eps2  = const_q[32*stream_pkg::CONST_EPS2 +: stream_pkg::EPS_BITS];

    // dseg serves both machines. The fetch machine comes forward (F_ASK) only from a cycle in which the other does not ask,
    // and keeps it out while it asks: a request that waits never changes.
    wire issue_x = x_q == X_ISSUE && step_q == 4'd0 && f_q != F_ASK;
    wire working = f_q != F_IDLE || slot_full_q || x_q != X_IDLE;
    assign busy  = working || g_valid;

    // ---- fetch: next state
    assign g_take  = !working;
    assign dw_take = f_q == F_WORDS;
    assign dseg_valid = issue_x || f_q == F_ASK;
    assign dseg_off   = issue_x ? j_x_in : ptr_q;
    assign dseg_beats = issue_x ? 32'(j_n) * 32'(X_WORDS) : 32'(DW);
    assign dseg_dest  = issue_x ? stream_pkg::AUX_X : stream_pkg::AUX_DESCRIPTOR;
    assign wseg_valid = f_q == F_WSEG;
    assign wseg_off   = woff_q;
    always_comb begin
        case (sec_q)
            3'd0:    begin wseg_beats = 32'(DW);        wseg_dest = stream_pkg::WEIGHT_CONST; end
            3'd1:    begin wseg_beats = 32'(G1_WORDS);  wseg_dest = stream_pkg::WEIGHT_GAIN; end
            3'd2:    begin wseg_beats = 32'(QKV_WORDS); wseg_dest = stream_pkg::WEIGHT_PACKED; end
            3'd3:    begin wseg_beats = 32'(G2_WORDS);  wseg_dest = stream_pkg::WEIGHT_GAIN; end
            default: begin wseg_beats = 32'(O_WORDS);   wseg_dest = stream_pkg::WEIGHT_PACKED; end
        endcase
    end

    always_comb begin
        f_d = f_q;
        ptr_d = ptr_q;
        left_d = left_q;
        fi_d = fi_q;
        sec_d = sec_q;
        woff_d = woff_q;
        slot_full_d = slot_full_q;
        err_d = err_q;
        err_field_d = err_field_q;
        err_off_d = err_off_q;
        case (f_q)
            F_IDLE: if (g_take && g_valid && g_data[47:32] != 16'd0) begin
                f_d = F_REQ;
                ptr_d = g_data[31:0];
                left_d = g_data[47:32];
            end
            F_REQ: if (!issue_x) f_d = F_ASK;
            F_ASK: if (dseg_ready) begin
                f_d = F_WORDS;
                fi_d = '0;
            end
            F_WORDS: if (dw_valid) begin
                fi_d = fi_q + 1'b1;
                if (fi_q == IW'(DW - 1)) f_d = F_CHECK;
            end
            F_CHECK: if (d_op_ok && d_field_ok) begin
                f_d = F_WSEG;
                sec_d = 3'd0;
                woff_d = desc_q[descriptor_pkg::WEIGHTS_LSB +: descriptor_pkg::WEIGHTS_WIDTH];
            end else begin
                f_d = F_IDLE;
                err_d = 1'b1;
                if (!err_q) begin
                    err_field_d = d_op_ok;
                    err_off_d = ptr_q;
                end
            end
            F_WSEG: if (wseg_ready) begin
                woff_d = woff_q + wseg_beats;
                sec_d = sec_q + 3'd1;
                if (sec_q == 3'd4) f_d = F_PUSH;
            end
            F_PUSH: if (!slot_full_q) begin
                slot_full_d = 1'b1;
                ptr_d = ptr_q + 32'(DW);
                left_d = left_q - 16'd1;
                f_d = (left_q == 16'd1) ? F_IDLE : F_REQ;
            end
            default: f_d = F_IDLE;
        endcase
        if (x_q == X_IDLE && slot_full_q) slot_full_d = 1'b0;
    end

    // ---- execute: next state
    logic step_ready;
    always_comb begin
        case (step_q)
            4'd0:    step_ready = dseg_ready && issue_x;
            4'd1:    step_ready = xload_ready;
            4'd2:    step_ready = norm_ready;
            4'd3:    step_ready = resid_ready;
            4'd4:    step_ready = unpack_ready;
            4'd5:    step_ready = tmac_ready;
            4'd6:    step_ready = rope_ready;
            4'd7:    step_ready = headq_ready;
            4'd8:    step_ready = kvwrite_ready;
            4'd9:    step_ready = kvread_ready;
            4'd10:   step_ready = attn_ready;
            4'd11:   step_ready = norm_ready;
            4'd12:   step_ready = unpack_ready;
            4'd13:   step_ready = tmac_ready;
            default: step_ready = xstore_ready;
        endcase
    end

    assign cw_take = x_q == X_CONST;
    wire quiet = xstore_idle && kvwrite_idle && write_idle;
    always_comb begin
        x_d = x_q;
        xi_d = xi_q;
        step_d = step_q;
        finished_d = 1'b0;
        case (x_q)
            X_IDLE: if (slot_full_q) begin
                x_d = X_CONST;
                xi_d = '0;
            end
            X_CONST: if (cw_valid) begin
                xi_d = xi_q + 1'b1;
                if (xi_q == IW'(DW - 1)) begin
                    x_d = X_ISSUE;
                    step_d = 4'd0;
                end
            end
            X_ISSUE: if (step_ready) begin
                step_d = step_q + 4'd1;
                if (step_q == LAST_STEP) x_d = X_WAIT;
            end
            default: if (quiet) begin
                x_d = X_IDLE;
                finished_d = 1'b1;
            end
        endcase
    end

    // ---- commands: each valid is one step of the issue state
    wire issuing = x_q == X_ISSUE;
    wire second  = step_q == 4'd11 || step_q == 4'd12 || step_q == 4'd13;   // sub-norm and o-projection
    assign xload_valid   = issuing && step_q == 4'd1;
    assign xload_n       = j_n;
    assign norm_valid    = issuing && (step_q == 4'd2 || step_q == 4'd11);
    assign norm_groups   = second ? 15'(QD / VEC) : 15'(D / VEC);
    assign norm_n        = j_n;
    assign norm_src      = second;
    assign norm_dest     = second;
    assign norm_eps      = second ? c_eps2 : c_eps1;
    assign norm_c        = second ? c_norm2 : c_norm1;
    assign resid_valid   = issuing && step_q == 4'd3;
    assign resid_n       = j_n;
    assign unpack_valid  = issuing && (step_q == 4'd4 || step_q == 4'd12);
    assign unpack_words  = second ? 32'(D * WPR_Q) : 32'((QD + 2 * KD) * WPR_D);
    assign tmac_valid    = issuing && (step_q == 4'd5 || step_q == 4'd13);
    assign tmac_acts     = second ? 20'(j_n) * 20'(QD / VEC) : 20'(j_n) * 20'(D / VEC);
    assign tmac_wpr      = second ? 15'(WPR_Q) : 15'(WPR_D);
    assign tmac_rows     = second ? 20'(D) : 20'(QD + 2 * KD);
    assign tmac_n        = j_n;
    assign tmac_dest     = second;
    assign rope_valid    = issuing && step_q == 4'd6;
    assign rope_pos      = j_pos;
    assign rope_n        = j_n;
    assign headq_valid   = issuing && step_q == 4'd7;
    assign headq_n       = j_n;
    assign kvwrite_valid = issuing && step_q == 4'd8;
    assign kvwrite_layer = j_layer;
    assign kvwrite_slot  = j_slot;
    assign kvwrite_pos   = j_pos;
    assign kvwrite_n     = j_n;
    assign kvread_valid  = issuing && step_q == 4'd9;
    assign kvread_layer  = j_layer;
    assign kvread_slot   = j_slot;
    assign kvread_pos    = j_pos;
    assign kvread_n      = j_n;
    assign attn_valid    = issuing && step_q == 4'd10;
    assign attn_n        = j_n;
    assign xstore_valid  = issuing && step_q == 4'd14;
    assign xstore_off    = j_x_out;
    assign xstore_n      = j_n;

    // Levels read 0 until the first pass.
    logic const_ok_q;
    assign cq = const_ok_q ? const_q[32*stream_pkg::CONST_C_Q +: stream_pkg::SCALE_BITS] : '0;
    assign ck = const_ok_q ? const_q[32*stream_pkg::CONST_C_K +: stream_pkg::SCALE_BITS] : '0;
    assign cv = const_ok_q ? const_q[32*stream_pkg::CONST_C_V +: stream_pkg::SCALE_BITS] : '0;
    assign co = const_ok_q ? const_q[32*stream_pkg::CONST_C_O +: stream_pkg::SCALE_BITS] : '0;
    assign finished  = finished_q;
    assign err       = err_q;
    assign err_field = err_field_q;
    assign err_off   = err_off_q;

    always_ff @(posedge clk) begin
        if (rst) begin
            f_q <= F_IDLE;
            x_q <= X_IDLE;
            slot_full_q <= 1'b0;
            err_q <= 1'b0;
            err_field_q <= 1'b0;
            err_off_q <= 32'd0;
            finished_q <= 1'b0;
            const_ok_q <= 1'b0;
        end else begin
            f_q <= f_d;
            x_q <= x_d;
            slot_full_q <= slot_full_d;
            err_q <= err_d;
            err_field_q <= err_field_d;
            err_off_q <= err_off_d;
            finished_q <= finished_d;
            // The levels change only when a whole set is there.
            if (x_q == X_CONST) const_ok_q <= cw_valid && xi_q == IW'(DW - 1);
        end
        ptr_q <= ptr_d;
        left_q <= left_d;
        fi_q <= fi_d;
        sec_q <= sec_d;
        woff_q <= woff_d;
        xi_q <= xi_d;
        step_q <= step_d;
        if (f_q == F_PUSH && !slot_full_q) slot_q <= desc_q;
        if (x_q == X_IDLE && slot_full_q) job_q <= slot_q;
    end
    // Super-word w of the record under way.
    for (genvar w = 0; w < DW; w++) begin : g_capture
        always_ff @(posedge clk) begin
            if (dw_take && dw_valid && fi_q == IW'(w)) desc_q[w*W +: W] <= dw_data;
            if (cw_take && cw_valid && xi_q == IW'(w)) const_q[w*W +: W] <= cw_data;
        end
    end
    wire unused = &{1'b0, desc_q, job_q, const_q};
endmodule
