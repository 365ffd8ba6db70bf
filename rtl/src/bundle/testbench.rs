//! The bundle's self-checking testbench: ideal memory behind every AXI port, an AXI4-Lite host, results compared with `!==`, so
//! that an X fails, and the cycles from doorbell to interrupt compared with the cycle model's.

use super::Vectors;
use std::fmt::Write;
use tritforge_spec::{regmap::REGISTERS, top::Params};

const MEMORY: &str = r#"
// Ideal memory behind one AXI4 port: a burst accepted in one cycle gives its first beat in the next, a beat a cycle.
module tb_memory #(
    parameter int PW    = 128,
    parameter int WORDS = 1024,
    parameter int Y_OFF = 0,
    parameter int Y_WORDS = 1,
    parameter FILE      = "memory.hex",
    parameter EXPECTED  = "expected.hex"
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            arvalid,
    output logic            arready,
    input  logic [63:0]     araddr,
    input  logic [7:0]      arlen,
    output logic            rvalid,
    input  logic            rready,
    output logic [PW-1:0]   rdata,
    output logic            rlast,
    input  logic            awvalid,
    output logic            awready,
    input  logic [63:0]     awaddr,
    input  logic [7:0]      awlen,
    input  logic            wvalid,
    output logic            wready,
    input  logic [PW-1:0]   wdata,
    input  logic [PW/8-1:0] wstrb,
    input  logic            wlast,
    output logic            bvalid,
    input  logic            bready
);
    localparam int BYTES = PW / 8;
    localparam int QUEUE = 256;
    logic [PW-1:0] mem [0:WORDS-1];
    logic [PW-1:0] expected [0:Y_WORDS-1];
    initial begin
        $readmemh(FILE, mem);
        $readmemh(EXPECTED, expected);
    end

    // Bursts in flight, as (first word, beats left - 1).
    logic [31:0] ar_word [0:QUEUE-1];
    logic [7:0]  ar_left [0:QUEUE-1];
    logic [31:0] aw_word [0:QUEUE-1];
    logic [7:0] ar_in, ar_out, aw_in, aw_out, b_due, b_sent;
    logic [7:0] beat, wbeat;
    assign arready = 1'b1;
    assign awready = 1'b1;
    // Data are taken from the cycle after their address on.
    assign wready  = aw_in != aw_out;
    assign rvalid  = ar_in != ar_out;
    assign rlast   = beat == ar_left[ar_out];
    assign rdata   = mem[ar_word[ar_out] + 32'(beat)];
    assign bvalid  = b_due != b_sent;
    logic [31:0]   waddr;
    logic [PW-1:0] old, merged;
    assign waddr = aw_word[aw_out] + 32'(wbeat);
    assign old   = mem[waddr];
    for (genvar i = 0; i < BYTES; i = i + 1) begin : g_byte
        assign merged[i*8 +: 8] = wstrb[i] ? wdata[i*8 +: 8] : old[i*8 +: 8];
    end
    always_ff @(posedge clk) begin
        if (rst) begin
            ar_in <= 0; ar_out <= 0; aw_in <= 0; aw_out <= 0; b_due <= 0; b_sent <= 0; beat <= 0; wbeat <= 0;
        end else begin
            if (arvalid) begin
                ar_word[ar_in] <= 32'(araddr / 64'(BYTES));
                ar_left[ar_in] <= arlen;
                ar_in <= ar_in + 8'd1;
            end
            if (rvalid && rready) begin
                beat <= rlast ? 8'd0 : beat + 8'd1;
                if (rlast) ar_out <= ar_out + 8'd1;
            end
            if (awvalid) begin
                aw_word[aw_in] <= 32'(awaddr / 64'(BYTES));
                aw_in <= aw_in + 8'd1;
            end
            if (wvalid && wready) begin
                mem[waddr] <= merged;
                wbeat <= wlast ? 8'd0 : wbeat + 8'd1;
                if (wlast) begin
                    aw_out <= aw_out + 8'd1;
                    b_due <= b_due + 8'd1;
                end
            end
            if (bvalid && bready) b_sent <= b_sent + 8'd1;
        end
    end

    // Results that differ, X included.
    function int wrong(input int unused);
        int n;
        n = unused;
        for (int w = 0; w < Y_WORDS; w = w + 1)
            if (mem[Y_OFF + w] !== expected[w]) n = n + 1;
        wrong = n;
    endfunction
endmodule
"#;

/// The text of `tritforge_tb.sv`.
pub fn emit(params: &Params, v: &Vectors) -> String {
    let hw = &params.hw;
    let (p, pw) = (hw.ports(), hw.port_bits());
    let y_words = v.y.len() * 8 / hw.word_bits();
    let offset = |name: &str| REGISTERS.iter().find(|r| r.name == name).map_or(0, |r| r.offset);
    let mut t = String::from("// Self-checking testbench. Emitted by tritforge; do not edit.\n`timescale 1ns/1ps\n");
    t.push_str(MEMORY);
    let _ = writeln!(t, "\nmodule tritforge_tb;");
    let _ = writeln!(t, "    localparam int P = {p};\n    localparam int PW = {pw};\n    localparam int PAGES = {};", v.pages.len());
    t.push_str(
        r#"    logic clk = 1'b0;
    logic rst = 1'b1;
    always #2 clk = !clk;

    logic s_awvalid = 1'b0, s_wvalid = 1'b0, s_arvalid = 1'b0;
    logic s_awready, s_wready, s_bvalid, s_arready, s_rvalid, irq;
    logic [11:0] s_awaddr = 12'd0, s_araddr = 12'd0;
    logic [31:0] s_wdata = 32'd0, s_rdata;
    logic [1:0]  s_bresp, s_rresp;
    logic [P-1:0] m_arvalid, m_arready, m_rvalid, m_rready, m_rlast, m_awvalid, m_awready, m_wvalid, m_wready, m_wlast, m_bvalid, m_bready;
    logic [64*P-1:0] m_araddr, m_awaddr;
    logic [8*P-1:0]  m_arlen, m_awlen;
    logic [3*P-1:0]  m_arsize, m_awsize;
    logic [2*P-1:0]  m_arburst, m_awburst;
    logic [PW*P-1:0] m_rdata, m_wdata;
    logic [PW/8*P-1:0] m_wstrb;
    tritforge_top dut (
        .clk(clk), .rst(rst),
        .s_awvalid(s_awvalid), .s_awready(s_awready), .s_awaddr(s_awaddr), .s_wvalid(s_wvalid), .s_wready(s_wready), .s_wdata(s_wdata),
        .s_wstrb(4'hf), .s_bvalid(s_bvalid), .s_bready(1'b1), .s_bresp(s_bresp), .s_arvalid(s_arvalid), .s_arready(s_arready),
        .s_araddr(s_araddr), .s_rvalid(s_rvalid), .s_rready(1'b1), .s_rdata(s_rdata), .s_rresp(s_rresp), .irq(irq),
        .m_arvalid(m_arvalid), .m_arready(m_arready), .m_araddr(m_araddr), .m_arlen(m_arlen), .m_arsize(m_arsize), .m_arburst(m_arburst),
        .m_rvalid(m_rvalid), .m_rready(m_rready), .m_rdata(m_rdata), .m_rresp({2*P{1'b0}}), .m_rlast(m_rlast),
        .m_awvalid(m_awvalid), .m_awready(m_awready), .m_awaddr(m_awaddr), .m_awlen(m_awlen), .m_awsize(m_awsize), .m_awburst(m_awburst),
        .m_wvalid(m_wvalid), .m_wready(m_wready), .m_wdata(m_wdata), .m_wstrb(m_wstrb), .m_wlast(m_wlast),
        .m_bvalid(m_bvalid), .m_bready(m_bready), .m_bresp({2*P{1'b0}}));

"#,
    );
    for i in 0..p {
        let _ = writeln!(
            t,
            "    tb_memory #(.PW(PW), .WORDS({}), .Y_OFF({}), .Y_WORDS({y_words}), .FILE(\"tb/memory_port{i}.hex\"), .EXPECTED(\"tb/expected_port{i}.hex\")) mem{i} (\n        \
             .clk(clk), .rst(rst), .arvalid(m_arvalid[{i}]), .arready(m_arready[{i}]), .araddr(m_araddr[{i}*64 +: 64]), .arlen(m_arlen[{i}*8 +: 8]),\n        \
             .rvalid(m_rvalid[{i}]), .rready(m_rready[{i}]), .rdata(m_rdata[{i}*PW +: PW]), .rlast(m_rlast[{i}]), .awvalid(m_awvalid[{i}]), .awready(m_awready[{i}]),\n        \
             .awaddr(m_awaddr[{i}*64 +: 64]), .awlen(m_awlen[{i}*8 +: 8]), .wvalid(m_wvalid[{i}]), .wready(m_wready[{i}]), .wdata(m_wdata[{i}*PW +: PW]),\n        \
             .wstrb(m_wstrb[{i}*(PW/8) +: PW/8]), .wlast(m_wlast[{i}]), .bvalid(m_bvalid[{i}]), .bready(m_bready[{i}]));",
            v.words, v.y_off
        );
    }
    t.push_str(
        r#"
    // One register access; inputs change on the falling edge.
    task write_reg(input logic [11:0] addr, input logic [31:0] data);
        @(negedge clk);
        s_awvalid = 1'b1; s_wvalid = 1'b1; s_awaddr = addr; s_wdata = data;
        while ((s_awready && s_wready) !== 1'b1) @(negedge clk);
        @(negedge clk);
        s_awvalid = 1'b0; s_wvalid = 1'b0;
        while (s_bvalid !== 1'b1) @(negedge clk);
        if (s_bresp !== 2'b00) begin $display("FAIL: write to %h answered %b", addr, s_bresp); $fatal; end
    endtask
    logic [31:0] value;
    task read_reg(input logic [11:0] addr);
        @(negedge clk);
        s_arvalid = 1'b1; s_araddr = addr;
        while (s_arready !== 1'b1) @(negedge clk);
        @(negedge clk);
        s_arvalid = 1'b0;
        while (s_rvalid !== 1'b1) @(negedge clk);
        value = s_rdata;
    endtask

    longint cycle = 0;
    always @(posedge clk) cycle <= cycle + 1;
    longint bell = 0, spent = 0;
    logic [31:0] pages [0:PAGES-1];
    int wrong;
    initial begin
        repeat (4) @(negedge clk);
        rst = 1'b0;
"#,
    );
    for (i, page) in v.pages.iter().enumerate() {
        let _ = writeln!(t, "        pages[{i}] = 32'd{page};");
    }
    let read = |t: &mut String, name: &str, want: u32| {
        let _ = writeln!(t, "        read_reg(12'h{:03x}); // {name}", offset(name));
        let _ = writeln!(
            t,
            "        if (value !== 32'h{want:08x}) begin $display(\"FAIL: {name} is %h, expected {want:08x}\", value); $fatal; end"
        );
    };
    read(&mut t, "MAGIC", tritforge_spec::regmap::MAGIC);
    read(&mut t, "HW_HASH_LO", params.hw_hash as u32);
    let write = |t: &mut String, name: &str, value: u32| {
        let _ = writeln!(t, "        write_reg(12'h{:03x}, 32'h{value:08x}); // {name}", offset(name));
    };
    for (name, value) in [
        ("IMG_HW_HASH_LO", params.hw_hash as u32),
        ("IMG_HW_HASH_HI", (params.hw_hash >> 32) as u32),
        ("IMG_NUM_HASH_LO", params.numerics_hash as u32),
        ("IMG_NUM_HASH_HI", (params.numerics_hash >> 32) as u32),
        ("IRQ_MASK", 3),
        ("DESC_PTR", v.descriptors),
    ] {
        write(&mut t, name, value);
    }
    let _ = writeln!(
        t,
        "        for (int i = 0; i < PAGES; i = i + 1) begin\n            write_reg(12'h{:03x}, 32'(i));\n            write_reg(12'h{:03x}, pages[i]);\n        end",
        offset("PT_INDEX"),
        offset("PT_ENTRY")
    );
    let _ = writeln!(t, "        // The cycle in which the doorbell's address and data are taken.");
    let _ = writeln!(t, "        @(negedge clk);\n        bell = cycle;");
    let _ = writeln!(t, "        s_awvalid = 1'b1; s_wvalid = 1'b1; s_awaddr = 12'h{:03x}; s_wdata = 32'd{};", offset("DOORBELL"), v.count);
    let _ = writeln!(t, "        @(negedge clk);\n        s_awvalid = 1'b0; s_wvalid = 1'b0;\n        while (irq !== 1'b1) begin");
    let _ = writeln!(
        t,
        "            @(negedge clk);\n            if (cycle - bell > {}) begin $display(\"FAIL: no interrupt\"); $fatal; end\n        end\n        // The interrupt is noticed in this cycle; the count includes it.\n        spent = cycle - bell + 1;",
        v.cycles * 2 + 10_000
    );
    let _ = writeln!(t, "        read_reg(12'h{:03x}); // STATUS: idle, no error", offset("STATUS"));
    let _ = writeln!(t, "        if (value !== 32'd0) begin $display(\"FAIL: STATUS is %h\", value); $fatal; end");
    let sum: Vec<String> = (0..p).map(|i| format!("mem{i}.wrong(0)")).collect();
    let _ = writeln!(t, "        wrong = {};", sum.join(" + "));
    let _ = writeln!(t, "        if (wrong != 0) begin $display(\"FAIL: %0d of {} result words differ\", wrong); $fatal; end", y_words * p);
    let _ = writeln!(
        t,
        "        if (spent != {0}) begin $display(\"FAIL: %0d cycles, the cycle model took {0}\", spent); $fatal; end",
        v.cycles
    );
    let _ = writeln!(
        t,
        "        $display(\"PASS: {} result words equal, %0d cycles as in the cycle model\", spent);\n        $finish;\n    end\nendmodule",
        y_words * p
    );
    t
}
