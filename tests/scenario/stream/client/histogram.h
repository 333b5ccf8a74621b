/* SPDX-License-Identifier: MPL-2.0 */
/* A log-linear histogram: every power of two is cut into 128 equal buckets, so
 * that a percentile is off by less than 0.4 % of its value. */
#ifndef SCENARIO_HISTOGRAM_H
#define SCENARIO_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_MAX_BITS 42 /* 2^42 ns is more than an hour */
#define HISTOGRAM_BUCKETS                                                   \
    ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_BUCKETS)

struct histogram
{
    uint64_t total;
    uint64_t max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Values of 2^HISTOGRAM_MAX_BITS and more count as the largest. */
void histogram_record (struct histogram *histogram, uint64_t value);

/* The value that percent of the recorded ones do not exceed; 0 when empty. */
double histogram_percentile (const struct histogram *histogram,
                             double percent);

#endif
