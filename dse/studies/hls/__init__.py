"""Loop directives of C kernels: pipelining, tiling and unrolling for an FPGA accelerator."""
