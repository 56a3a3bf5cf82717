// A finite impulse response filter on 16-bit samples, annotated for Vitis HLS.
#include <stdint.h>

enum { TAPS = 16, SAMPLES = 512 };

void fir(const int16_t input[SAMPLES], const int16_t weight[TAPS], int32_t output[SAMPLES])
{
#pragma HLS INTERFACE m_axi port=input
  int16_t window[TAPS];
clear:
  for (int t = 0; t < TAPS; t++)
    window[t] = 0;
sample:
  for (int n = 0; n < SAMPLES; n++) {
#pragma HLS PIPELINE auto{PIPE_SAMPLE}
    int32_t sum = 0;
shift:
    for (int t = TAPS - 1; t > 0; t--) {
#pragma HLS UNROLL factor=auto{UNROLL_SHIFT}
      window[t] = window[t - 1];
    }
    window[0] = input[n];
product:
    for (int t = 0; t < TAPS; t++) {
#pragma HLS UNROLL factor=auto{UNROLL_PRODUCT}
      sum += window[t] * weight[t];
    }
    output[n] = sum;
  }
}
