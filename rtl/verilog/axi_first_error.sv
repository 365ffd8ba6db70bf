// axi_first_error: keeps the first error of P ports since reset.
// In: bad, a bit a port, with bad_addr. Out, from the cycle after the first one on: err, err_port (the lowest of several), err_addr.
module axi_first_error #(
    parameter int P = 1  // ports, 1 to 32
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [P-1:0]    bad,
    input  logic [64*P-1:0] bad_addr,
    output logic            err,
    output logic [4:0]      err_port,
    output logic [63:0]     err_addr
);
    logic [4:0]  first_port;
    logic [63:0] first_addr;
    always_comb begin
        first_port = 5'd0;
        first_addr = 64'd0;
        for (int p = P - 1; p >= 0; p--) begin
            if (bad[p]) begin
                first_port = 5'(p);
                first_addr = bad_addr[64*p+:64];
            end
        end
    end

    logic        err_q;
    logic [4:0]  err_port_q;
    logic [63:0] err_addr_q;
    always_ff @(posedge clk) begin
        if (rst) begin
            err_q      <= 1'b0;
            err_port_q <= 5'd0;
            err_addr_q <= 64'd0;
        end else if (!err_q && (|bad)) begin
            err_q      <= 1'b1;
            err_port_q <= first_port;
            err_addr_q <= first_addr;
        end
    end
    assign err      = err_q;
    assign err_port = err_port_q;
    assign err_addr = err_addr_q;
endmodule
