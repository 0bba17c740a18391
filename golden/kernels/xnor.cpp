// Products of packed signs. mubinn.golden.kernels.products says what they are; native.py compiles
// this file. Each instruction set has an entry in SETS: how it lays out weights, encodes rows,
// counts differing bits of a tile, and turns counts into results.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))
#define AVX2 __attribute__((target("avx2")))
#endif
#define INLINE static inline __attribute__((always_inline))

namespace {

constexpr int64_t BLOCK = 64;               // rows that are encoded at once, to stay in the cache
constexpr int64_t TILE = 8;                 // most rows of a tile
constexpr int64_t WIDEST = 64;              // most columns of a panel
constexpr int64_t STREAMED = 1 << 22;       // results that pass by the cache

struct Job {
    const float *x;        // [rows, n]
    int64_t rows, n, levels;
    const double *scales;  // [levels]
    const double *offset;  // [n]
    const uint8_t *w;      // [panels, planes, n / 8 / unit, columns, unit]
    int64_t planes, outputs;
    const int64_t *gains;  // [panels, planes, levels, columns], or none
    void *out;             // int64 [rows, outputs], or int32 where there are no gains
};

using Encode = void (*)(const float *, const double *, int64_t, int64_t, const double *, uint8_t *,
                        int64_t);
using Tile = void (*)(const uint8_t *, int64_t, const uint8_t *, uint32_t *);
using Finish = void (*)(const uint32_t *, int64_t, const int64_t *, int64_t, bool, void *, bool);

struct Set {
    int64_t columns, unit;  // of a panel, and bytes of a column side by side
    Encode encode;
    Tile tiles[4];          // of 1, 2, 4 and 8 rows, or fewer
    Finish narrow, wide;
};

// Algorithm 1 on up to 8 values: a byte a level, at distance `stride`.
INLINE void encode_byte(const float *x, const double *offset, int64_t count, int64_t levels,
                        const double *scales, uint8_t *out, int64_t stride) {
    double residual[8];
    for (int64_t i = 0; i < count; i++) residual[i] = double(x[i]) - offset[i];
    for (int64_t k = 0; k < levels; k++) {
        unsigned byte = 0;
        for (int64_t i = 0; i < count; i++) {
            bool bit = residual[i] >= 0;
            byte |= unsigned(bit) << i;
            residual[i] -= bit ? scales[k] : -scales[k];
        }
        out[k * stride] = uint8_t(byte);
    }
}

void encode_portable(const float *x, const double *offset, int64_t n, int64_t levels,
                     const double *scales, uint8_t *out, int64_t stride) {
    for (int64_t i = 0; i < n; i += 8)
        encode_byte(x + i, offset + i, std::min<int64_t>(8, n - i), levels, scales, out++, stride);
}

INLINE uint32_t word_at(const uint8_t *bytes) {
    uint32_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

INLINE uint32_t popcount(uint32_t v) {
    v -= v >> 1 & 0x55555555u;
    v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0fu;
    v += v >> 8;
    return (v + (v >> 16)) & 63;
}

// Columns of 32-bit words: counts[row][column] of differing bits.
template <int ROWS>
void tile_portable(const uint8_t *x, int64_t stride, const uint8_t *panel, uint32_t *counts) {
    std::memset(counts, 0, ROWS * 32 * sizeof *counts);
    for (int64_t k = 0; k < stride; k += 4)
        for (int r = 0; r < ROWS; r++) {
            uint32_t word = word_at(x + r * stride + k);
            for (int c = 0; c < 32; c++)
                counts[32 * r + c] += popcount(word ^ word_at(panel + 32 * k + 4 * c));
        }
}

INLINE void narrow(const uint32_t *counts, int64_t n, int64_t width, void *out) {
    int32_t *to = static_cast<int32_t *>(out);
    for (int64_t c = 0; c < width; c++) to[c] = int32_t(n) - 2 * int32_t(counts[c]);
}

INLINE void wide(const uint32_t *counts, int64_t n, const int64_t *gains, int64_t width, bool first,
                 void *out) {
    int64_t *to = static_cast<int64_t *>(out);
    for (int64_t c = 0; c < width; c++) {
        int64_t value = gains[c] * (n - 2 * int64_t(counts[c]));
        to[c] = first ? value : to[c] + value;
    }
}

void narrow_portable(const uint32_t *counts, int64_t n, const int64_t *, int64_t width, bool,
                     void *out, bool) {
    narrow(counts, n, width, out);
}

void wide_portable(const uint32_t *counts, int64_t n, const int64_t *gains, int64_t width,
                   bool first, void *out, bool) {
    wide(counts, n, gains, width, first, out);
}

#if defined(__x86_64__)

AVX512 void encode_avx512(const float *x, const double *offset, int64_t n, int64_t levels,
                          const double *scales, uint8_t *out, int64_t stride) {
    const __m512d zero = _mm512_setzero_pd();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8, out++) {
        __m512d residual = _mm512_cvtps_pd(_mm256_loadu_ps(x + i));
        residual = _mm512_sub_pd(residual, _mm512_loadu_pd(offset + i));
        for (int64_t k = 0;;) {
            __mmask8 bits = _mm512_cmp_pd_mask(residual, zero, _CMP_GE_OQ);
            out[k * stride] = bits;
            __m512d scale = _mm512_set1_pd(scales[k]);
            if (++k == levels) break;
            residual = _mm512_mask_sub_pd(_mm512_add_pd(residual, scale), bits, residual, scale);
        }
    }
    if (i < n) encode_byte(x + i, offset + i, n - i, levels, scales, out, stride);
}

template <int ROWS>
AVX512 void tile_avx512(const uint8_t *x, int64_t stride, const uint8_t *panel, uint32_t *counts) {
    __m512i sums[ROWS][2];
    for (auto &row : sums) row[0] = row[1] = _mm512_setzero_si512();
    for (int64_t k = 0; k < stride; k += 4) {
        __m512i left = _mm512_loadu_si512(panel + 32 * k);
        __m512i right = _mm512_loadu_si512(panel + 32 * k + 64);
        for (int r = 0; r < ROWS; r++) {
            __m512i word = _mm512_set1_epi32(int(word_at(x + r * stride + k)));
            __m512i of_left = _mm512_popcnt_epi32(_mm512_xor_si512(word, left));
            __m512i of_right = _mm512_popcnt_epi32(_mm512_xor_si512(word, right));
            sums[r][0] = _mm512_add_epi32(sums[r][0], of_left);
            sums[r][1] = _mm512_add_epi32(sums[r][1], of_right);
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int half = 0; half < 2; half++)
            _mm512_storeu_si512(counts + 32 * r + 16 * half, sums[r][half]);
}

AVX512 void narrow_avx512(const uint32_t *counts, int64_t n, const int64_t *, int64_t width, bool,
                          void *out, bool streamed) {
    if (!streamed) return narrow(counts, n, width, out);
    for (int64_t c = 0; c < width; c += 16) {
        __m512i own = _mm512_slli_epi32(_mm512_loadu_si512(counts + c), 1);
        void *to = static_cast<int32_t *>(out) + c;
        _mm512_stream_si512(static_cast<__m512i *>(to), _mm512_sub_epi32(_mm512_set1_epi32(int(n)), own));
    }
}

AVX512 void wide_avx512(const uint32_t *counts, int64_t n, const int64_t *gains, int64_t width,
                        bool first, void *out, bool) {
    wide(counts, n, gains, width, first, out);
}

AVX2 void encode_avx2(const float *x, const double *offset, int64_t n, int64_t levels,
                      const double *scales, uint8_t *out, int64_t stride) {
    const __m256d zero = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8, out++) {
        __m256d low = _mm256_cvtps_pd(_mm_loadu_ps(x + i));
        __m256d high = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4));
        low = _mm256_sub_pd(low, _mm256_loadu_pd(offset + i));
        high = _mm256_sub_pd(high, _mm256_loadu_pd(offset + i + 4));
        for (int64_t k = 0; k < levels; k++) {
            __m256d of_low = _mm256_cmp_pd(low, zero, _CMP_GE_OQ);
            __m256d of_high = _mm256_cmp_pd(high, zero, _CMP_GE_OQ);
            __m256d plus = _mm256_set1_pd(scales[k]), minus = _mm256_set1_pd(-scales[k]);
            low = _mm256_sub_pd(low, _mm256_blendv_pd(minus, plus, of_low));
            high = _mm256_sub_pd(high, _mm256_blendv_pd(minus, plus, of_high));
            out[k * stride] = uint8_t(_mm256_movemask_pd(of_low) | _mm256_movemask_pd(of_high) << 4);
        }
    }
    if (i < n) encode_byte(x + i, offset + i, n - i, levels, scales, out, stride);
}

// differing[a][b]: bits in which the halves a and b of bytes differ.
struct Nibbles {
    alignas(16) uint8_t differing[16][16];
    constexpr Nibbles() : differing() {
        for (int a = 0; a < 16; a++)
            for (int b = 0; b < 16; b++)
                for (int k = 0; k < 4; k++) differing[a][b] += (a ^ b) >> k & 1;
    }
};
constexpr Nibbles NIBBLES;

// Columns of bytes: a half of a row's byte chooses a table, in which halves of 32 columns are
// looked up at once.
template <int ROWS>
AVX2 void tile_avx2(const uint8_t *x, int64_t stride, const uint8_t *panel, uint32_t *counts) {
    constexpr int64_t MOST = 31;  // bytes whose counts, 8 each, a byte holds
    const __m256i half = _mm256_set1_epi8(15);
    std::memset(counts, 0, ROWS * 64 * sizeof *counts);
    for (int64_t begin = 0; begin < stride; begin += MOST) {
        __m256i sums[ROWS][2];
        for (auto &row : sums) row[0] = row[1] = _mm256_setzero_si256();
        for (int64_t k = begin; k < std::min(begin + MOST, stride); k++) {
            __m256i low[2], high[2];
            for (int v = 0; v < 2; v++) {
                const void *at = panel + 64 * k + 32 * v;
                __m256i own = _mm256_loadu_si256(static_cast<const __m256i *>(at));
                low[v] = _mm256_and_si256(own, half);
                high[v] = _mm256_and_si256(_mm256_srli_epi16(own, 4), half);
            }
            for (int r = 0; r < ROWS; r++) {
                unsigned byte = x[r * stride + k];
                const void *of_low = NIBBLES.differing[byte & 15], *of_high = NIBBLES.differing[byte >> 4];
                __m256i first = _mm256_broadcastsi128_si256(*static_cast<const __m128i *>(of_low));
                __m256i second = _mm256_broadcastsi128_si256(*static_cast<const __m128i *>(of_high));
                for (int v = 0; v < 2; v++) {
                    sums[r][v] = _mm256_add_epi8(sums[r][v], _mm256_shuffle_epi8(first, low[v]));
                    sums[r][v] = _mm256_add_epi8(sums[r][v], _mm256_shuffle_epi8(second, high[v]));
                }
            }
        }
        alignas(32) uint8_t bytes[ROWS * 64];
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < 2; v++) {
                void *to = bytes + 64 * r + 32 * v;
                _mm256_store_si256(static_cast<__m256i *>(to), sums[r][v]);
            }
        for (int c = 0; c < ROWS * 64; c++) counts[c] += bytes[c];
    }
}

AVX2 void narrow_avx2(const uint32_t *counts, int64_t n, const int64_t *, int64_t width, bool,
                      void *out, bool streamed) {
    if (!streamed) return narrow(counts, n, width, out);
    for (int64_t c = 0; c < width; c += 8) {
        const void *from = counts + c;
        __m256i own = _mm256_slli_epi32(_mm256_loadu_si256(static_cast<const __m256i *>(from)), 1);
        void *to = static_cast<int32_t *>(out) + c;
        _mm256_stream_si256(static_cast<__m256i *>(to), _mm256_sub_epi32(_mm256_set1_epi32(int(n)), own));
    }
}

AVX2 void wide_avx2(const uint32_t *counts, int64_t n, const int64_t *gains, int64_t width,
                    bool first, void *out, bool) {
    wide(counts, n, gains, width, first, out);
}

#endif

const Set SETS[] = {
    {32, 4, encode_portable,
     {tile_portable<1>, tile_portable<2>, tile_portable<4>, tile_portable<8>},
     narrow_portable, wide_portable},
#if defined(__x86_64__)
    {64, 1, encode_avx2, {tile_avx2<1>, tile_avx2<2>, tile_avx2<4>, nullptr}, narrow_avx2, wide_avx2},
    {32, 4, encode_avx512,
     {tile_avx512<1>, tile_avx512<2>, tile_avx512<4>, tile_avx512<8>},
     narrow_avx512, wide_avx512},
#endif
};

struct Part {
    int64_t first_row, last_row, first_panel, last_panel;
    std::vector<uint8_t> packed;
};

int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

void run(const Set &set, const Job &job, Part &part) {
    const int64_t stride = 4 * up(job.n, 32), size = job.gains ? 8 : 4;
    const bool aligned = !(uintptr_t(job.out) % 64) && job.outputs % 16 == 0;
    const bool streamed = !job.gains && aligned && job.rows * job.outputs >= STREAMED;
    alignas(64) uint32_t counts[TILE * WIDEST];
    uint8_t *packed = part.packed.data();
    for (int64_t block = part.first_row; block < part.last_row; block += BLOCK) {
        const int64_t rows = std::min(BLOCK, part.last_row - block), all = rows * job.levels;
        for (int64_t r = 0; r < rows; r++)
            set.encode(job.x + (block + r) * job.n, job.offset, job.n, job.levels, job.scales,
                       packed + r * job.levels * stride, stride);
        for (int64_t p = part.first_panel; p < part.last_panel; p++) {
            const int64_t column = p * set.columns;
            const int64_t width = std::min(set.columns, job.outputs - column);
            for (int64_t j = 0; j < job.planes; j++) {
                const int64_t plane = p * job.planes + j;
                const uint8_t *panel = job.w + plane * stride * set.columns;
                const int64_t *gains = job.gains + (job.gains ? plane * job.levels * set.columns : 0);
                int64_t row = block, level = 0;
                for (int64_t r = 0, step; r < all; r += step) {
                    int kind = 3;
                    while (!set.tiles[kind] || 1 << kind > all - r) kind--;
                    step = 1 << kind;
                    set.tiles[kind](packed + r * stride, stride, panel, counts);
                    for (int64_t t = 0; t < step; t++) {
                        void *out = static_cast<char *>(job.out) + (row * job.outputs + column) * size;
                        (job.gains ? set.wide : set.narrow)(
                            counts + t * set.columns, job.n, gains + level * set.columns, width,
                            j + level == 0, out, streamed);
                        if (++level == job.levels) level = 0, row++;
                    }
                }
            }
        }
    }
}

}  // namespace

extern "C" {

// Whether this machine has an instruction set: 0 portable, 1 AVX2, 2 AVX-512 with VPOPCNTDQ.
int xnor_supported(int set) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == 1) return __builtin_cpu_supports("avx2");
    if (set == 2)
        return __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return set == 0;
}

// Returns 0, or 1 where there was no memory.
int xnor_product(int set, const float *x, int64_t rows, int64_t n, int64_t levels,
                 const double *scales, const double *offset, const uint8_t *w, int64_t planes,
                 int64_t outputs, const int64_t *gains, void *out, int64_t threads) try {
    const Set &own = SETS[set];
    const Job job{x, rows, n, levels, scales, offset, w, planes, outputs, gains, out};
    const int64_t panels = up(outputs, own.columns), stride = 4 * up(n, 32);
    const bool by_rows = rows >= TILE * threads;
    const int64_t pieces = by_rows ? up(rows, TILE) : panels;
    const int64_t count = std::min(threads, pieces);
    std::vector<Part> parts;
    for (int64_t k = 0; k < count; k++) {
        const int64_t a = pieces * k / count, b = pieces * (k + 1) / count;
        Part part = by_rows ? Part{a * TILE, std::min(b * TILE, rows), 0, panels, {}}
                            : Part{0, rows, a, b, {}};
        part.packed.resize(std::min(BLOCK, rows) * levels * stride);
        parts.push_back(std::move(part));
    }
    std::vector<std::thread> workers;
    for (int64_t k = 1; k < count; k++) {
        try {
            workers.emplace_back([&, k] { run(own, job, parts[k]); });
        } catch (const std::exception &) {  // no thread is to be had
            run(own, job, parts[k]);
        }
    }
    run(own, job, parts[0]);
    for (auto &worker : workers) worker.join();
    return 0;
} catch (const std::exception &) {
    return 1;
}

}  // extern "C"
