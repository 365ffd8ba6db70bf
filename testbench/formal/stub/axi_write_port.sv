// In the proof of the master that joins the ports: a port that answers with anything at any time.
module axi_write_port #(
    parameter int PW = 128,
    parameter int BURST = 16,
    parameter int OUTSTANDING = 32,
    parameter int DEPTH = 32
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
    output logic            bad,
    output logic [63:0]     bad_addr
);
  (* anyseq *) logic f_seg_ready;
  assign seg_ready = f_seg_ready;
  (* anyseq *) logic f_d_ready;
  assign d_ready = f_d_ready;
  (* anyseq *) logic f_m_awvalid;
  assign m_awvalid = f_m_awvalid;
  (* anyseq *) logic [63:0] f_m_awaddr;
  assign m_awaddr = f_m_awaddr;
  (* anyseq *) logic [7:0] f_m_awlen;
  assign m_awlen = f_m_awlen;
  (* anyseq *) logic f_m_wvalid;
  assign m_wvalid = f_m_wvalid;
  (* anyseq *) logic [PW-1:0] f_m_wdata;
  assign m_wdata = f_m_wdata;
  (* anyseq *) logic [PW/8-1:0] f_m_wstrb;
  assign m_wstrb = f_m_wstrb;
  (* anyseq *) logic f_m_wlast;
  assign m_wlast = f_m_wlast;
  (* anyseq *) logic f_quiet;
  assign quiet = f_quiet;
  (* anyseq *) logic f_empty;
  assign empty = f_empty;
  (* anyseq *) logic f_bad;
  assign bad = f_bad;
  (* anyseq *) logic [63:0] f_bad_addr;
  assign bad_addr = f_bad_addr;
endmodule
