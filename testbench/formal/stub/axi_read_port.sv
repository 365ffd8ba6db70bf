// In the proof of the master that joins the ports: a port that answers with anything at any time.
module axi_read_port #(
    parameter int PW = 128,
    parameter int BURST = 16,
    parameter int OUTSTANDING = 4,
    parameter int W_DEPTH = 64,
    parameter int X_DEPTH = 64
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
    output logic          beat,
    output logic          bad,
    output logic [63:0]   bad_addr
);
  (* anyseq *) logic f_wseg_ready;
  assign wseg_ready = f_wseg_ready;
  (* anyseq *) logic f_xseg_ready;
  assign xseg_ready = f_xseg_ready;
  (* anyseq *) logic f_m_arvalid;
  assign m_arvalid = f_m_arvalid;
  (* anyseq *) logic [63:0] f_m_araddr;
  assign m_araddr = f_m_araddr;
  (* anyseq *) logic [7:0] f_m_arlen;
  assign m_arlen = f_m_arlen;
  (* anyseq *) logic f_w_valid;
  assign w_valid = f_w_valid;
  (* anyseq *) logic [PW-1:0] f_w_data;
  assign w_data = f_w_data;
  (* anyseq *) logic f_x_valid;
  assign x_valid = f_x_valid;
  (* anyseq *) logic [PW-1:0] f_x_data;
  assign x_data = f_x_data;
  (* anyseq *) logic f_quiet;
  assign quiet = f_quiet;
  (* anyseq *) logic f_beat;
  assign beat = f_beat;
  (* anyseq *) logic f_bad;
  assign bad = f_bad;
  (* anyseq *) logic [63:0] f_bad_addr;
  assign bad_addr = f_bad_addr;
endmodule
