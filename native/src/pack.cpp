// Where does each byte of a file's rows go in a tile? From blocks as blocks.h draws them to lines as sources.inl does.
#include "pack.h"

#include <algorithm>
#include <cstring>

#include "blocks.h"
#include "pool.h"

namespace greenlight {

namespace {

// Four bytes of each of 16 rows to one line. Rows beyond the matrix stay zero.
inline void gather_words(const uint8_t* const* rows, int n_rows, size_t offset, uint8_t* line) {
    for (int r = 0; r < n_rows; ++r) std::memcpy(line + 4 * r, rows[r] + offset, 4);
}

inline void gather_halves(const uint8_t* const* rows, int n_rows, size_t offset, uint8_t* line) {
    for (int r = 0; r < n_rows; ++r) std::memcpy(line + 2 * r, rows[r] + offset, 2);
}

void flip_sign_bits(uint8_t* line, int n_words) {
    for (int i = 0; i < n_words; ++i) {
        uint32_t word;
        std::memcpy(&word, line + 4 * i, 4);
        word ^= 0x80808080u;
        std::memcpy(line + 4 * i, &word, 4);
    }
}

void pack_block(Kind kind, const uint8_t* const* rows, int n_rows, uint8_t* out) {
    if (kind == Kind::Q8_0) {
        for (int j = 0; j < 8; ++j) {
            gather_words(rows, n_rows, 2 + 4 * j, out + 64 * j);
            flip_sign_bits(out + 64 * j, n_rows);
        }
        gather_halves(rows, n_rows, 0, out + 512);
        return;
    }
    const size_t quants = kind == Kind::Q4_1 ? 4 : 2;
    for (int j = 0; j < 4; ++j) gather_words(rows, n_rows, quants + 4 * j, out + 64 * j);
    gather_halves(rows, n_rows, 0, out + 256);
    if (kind == Kind::Q4_1) gather_halves(rows, n_rows, 2, out + 288);
}

// Words that hold the nibbles of a block as a file of Q4_0 has them.
void pack_nibbles(Kind kind, const uint8_t* const* rows, int n_rows, uint8_t* out) {
    const size_t quants = kind == Kind::MXFP4 ? 1 : 2;
    for (int j = 0; j < 4; ++j) gather_words(rows, n_rows, quants + 4 * j, out + 64 * j);
    if (kind == Kind::IQ4_NL) return gather_halves(rows, n_rows, 0, out + 256);
    for (int r = 0; r < n_rows; ++r) out[256 + r] = rows[r][0];
}

// Lines of one row, 4 bytes of each, from 32 codes.
void put_nibbles(const uint8_t* codes, uint8_t* out) {
    for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 4; ++i)
            out[64 * j + i] = static_cast<uint8_t>((codes[4 * j + i] & 15) | (codes[16 + 4 * j + i] & 15) << 4);
    }
}

void put_pairs(const uint8_t* codes, int at, uint8_t* out) {
    for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 4; ++i) {
            int byte = 0;
            for (int j = 0; j < 4; ++j) byte |= (codes[16 * half + 4 * j + i] >> at & 3) << 2 * j;
            out[64 * half + i] = static_cast<uint8_t>(byte);
        }
    }
}

void put_bits(const uint8_t* codes, int at, uint8_t* out) {
    for (int i = 0; i < 4; ++i) {
        int byte = 0;
        for (int j = 0; j < 8; ++j) byte |= (codes[4 * j + i] >> at & 1) << j;
        out[i] = static_cast<uint8_t>(byte);
    }
}

// The codes of 32 inputs of one row.
void put_codes(Kind kind, const uint8_t* codes, uint8_t* out) {
    if (kind == Kind::Q2_K || kind == Kind::Q3_K) {
        put_pairs(codes, 0, out);
        if (kind == Kind::Q3_K) put_bits(codes, 2, out + 128);
        return;
    }
    put_nibbles(codes, out);
    if (kind == Kind::Q6_K) put_pairs(codes, 4, out + 256);
    if (kind == Kind::Q5_0 || kind == Kind::Q5_1 || kind == Kind::Q5_K) put_bits(codes, 4, out + 256);
}

void put_half(uint16_t half, uint8_t* out) { std::memcpy(out, &half, 2); }

// Block b of row r, with the factors that come before it.
void put_block(Kind kind, const BlockCodes& block, int r, uint8_t* out) {
    const Shape shape = shape_of(kind);
    if (shape.header) put_half(block.d, out + 2 * r);
    if (has_dmin(kind)) put_half(block.dmin, out + 32 + 2 * r);
    out += shape.header;
    const int runs = kBlock / block.run;
    for (int step = 0; step < shape.inputs / kBlock; ++step, out += shape.step) {
        put_codes(kind, block.codes + step * kBlock, out + 4 * r);
        uint8_t* scales = out + code_bytes(kind);
        if (!shape.header) {
            put_half(block.d, scales + 2 * r);
            if (kind == Kind::Q5_1) put_half(block.dmin, scales + 32 + 2 * r);
            continue;
        }
        for (int run = 0; run < runs; ++run) {
            scales[16 * run + r] = static_cast<uint8_t>(block.scales[step * runs + run]);
            if (has_dmin(kind)) scales[16 * (runs + run) + r] = static_cast<uint8_t>(block.minima[step * runs + run]);
        }
    }
}

void pack_compact(Kind kind, const uint8_t* const* rows, int n_rows, uint8_t* out) {
    if (kind == Kind::MXFP4 || kind == Kind::IQ4_NL) return pack_nibbles(kind, rows, n_rows, out);
    BlockCodes block;
    for (int r = 0; r < n_rows; ++r) {
        read_block(kind, rows[r], block);
        put_block(kind, block, r, out);
    }
}

// Of floats a tile has a line for each input, and nothing else:
//
//   input 0  | row 0 | row 1 |  ...  | row 15 |   as the file has them: f32, f16 or bf16
//   input 1  |       |       |       |        |
template <size_t bytes>
void pack_floats(const uint8_t* const* rows, int n_rows, int k, uint8_t* out) {
    for (int first = 0; first < k; first += 16) {
        const int last = std::min(first + 16, k);
        for (int r = 0; r < n_rows; ++r) {
            for (int i = first; i < last; ++i) std::memcpy(out + (i * 16 + r) * bytes, rows[r] + i * bytes, bytes);
        }
    }
}

void pack_tile(const Source& source, int tile, int k, uint8_t* out) {
    const Kind kind = source.kind;
    const Shape shape = shape_of(kind);
    const int n_rows = std::min(kLanes, source.rows - tile * kLanes);
    const uint8_t* rows[kLanes];
    for (int r = 0; r < n_rows; ++r)
        rows[r] = source.data + (static_cast<size_t>(tile) * kLanes + r) * row_bytes(kind, k);
    if (kind == Kind::F32) return pack_floats<4>(rows, n_rows, k, out);
    if (!is_quantised(kind)) return pack_floats<2>(rows, n_rows, k, out);
    for (int b = 0; b < k / shape.inputs; ++b, out += tile_bytes(kind, shape.inputs)) {
        is_compact(kind) ? pack_compact(kind, rows, n_rows, out) : pack_block(kind, rows, n_rows, out);
        for (int r = 0; r < n_rows; ++r) rows[r] += shape.bytes;
    }
}

int tiles_of(int rows) { return (rows + kLanes - 1) / kLanes; }

const float* copy_bias(const Source& source, float* target) {
    if (!source.bias) return nullptr;
    std::copy_n(source.bias, source.rows, target);
    return target;
}

void note_kind(Linear& linear, Kind kind) {
    (is_quantised(kind) ? linear.quantised : linear.floats) = true;
    linear.compact |= is_compact(kind);
    linear.halves |= has_halves(kind);
}

// Tiles are independent: every thread takes some.
void pack_all(const std::vector<Source>& sources, const Linear& linear) {
    for (size_t s = 0; s < sources.size(); ++s) {
        const bool up = linear.paired && s == 1;
        const Segment& segment = linear.segments[linear.paired ? 0 : s];
        Pool::instance().share(segment.n_tiles, 4, [&](int, int first, int last) {
            for (int tile = first; tile < last; ++tile) {
                auto* out =
                    const_cast<uint8_t*>(segment.data) + tile * segment.tile_bytes + (up ? segment.up_offset : 0);
                pack_tile(sources[s], tile, linear.k, out);
            }
        });
    }
}

void join_row(const uint8_t* pairs, const uint8_t* scales, int64_t n_blocks, uint8_t* out) {
    for (int64_t b = 0; b < n_blocks; ++b, pairs += 16, out += 17) {
        out[0] = scales[b];
        for (int i = 0; i < 8; ++i) {
            out[1 + 2 * i] = static_cast<uint8_t>((pairs[i] & 15) | (pairs[8 + i] & 15) << 4);
            out[2 + 2 * i] = static_cast<uint8_t>(pairs[i] >> 4 | (pairs[8 + i] & 0xF0));
        }
    }
}

}  // namespace

void join_mxfp4(const uint8_t* blocks, const uint8_t* scales, int64_t rows, int64_t row_blocks, int64_t first,
                int64_t step, uint8_t* out) {
    constexpr int kRowsAtOnce = 64;
    const int n_rows = static_cast<int>(rows / step);
    std::lock_guard lock(Pool::instance().exclusive);
    Pool::instance().share((n_rows + kRowsAtOnce - 1) / kRowsAtOnce, 1, [&](int, int from, int to) {
        const int end = std::min(to * kRowsAtOnce, n_rows);
        for (int64_t row = from * kRowsAtOnce; row < end; ++row) {
            const int64_t at = (row * step + first) * row_blocks;
            join_row(blocks + 16 * at, scales + at, row_blocks, out + 17 * row * row_blocks);
        }
    });
}

Linear pack_linear(const std::vector<Source>& sources, int k) {
    std::lock_guard lock(Pool::instance().exclusive);
    Linear linear;
    linear.k = k;
    size_t bytes = 0, tiles = 0;
    for (const Source& source : sources) {
        bytes += tiles_of(source.rows) * tile_bytes(source.kind, k);
        tiles += tiles_of(source.rows);
        note_kind(linear, source.kind);
    }
    linear.n_bytes = bytes;
    linear.weights = allocate_weights(bytes);
    linear.biases.resize(tiles * kLanes);
    uint8_t* data = linear.weights.get();
    float* bias = linear.biases.data();
    for (const Source& source : sources) {
        Segment segment{};
        segment.kind = segment.up_kind = source.kind;
        segment.n = source.rows;
        segment.n_tiles = tiles_of(source.rows);
        segment.column = linear.n;
        segment.tile_bytes = tile_bytes(source.kind, k);
        segment.data = data;
        segment.bias = copy_bias(source, bias);
        linear.segments.push_back(segment);
        linear.n += source.rows;
        data += segment.n_tiles * segment.tile_bytes;
        bias += segment.n_tiles * kLanes;
    }
    pack_all(sources, linear);
    return linear;
}

Linear pack_gate_up(const Source& gate, const Source& up, int k) {
    std::lock_guard lock(Pool::instance().exclusive);
    Linear linear;
    linear.k = k;
    linear.n = gate.rows;
    linear.paired = true;
    note_kind(linear, gate.kind);
    note_kind(linear, up.kind);
    Segment segment{};
    segment.kind = gate.kind;
    segment.up_kind = up.kind;
    segment.paired = true;
    segment.n = gate.rows;
    segment.n_tiles = tiles_of(gate.rows);
    segment.up_offset = tile_bytes(gate.kind, k);
    segment.tile_bytes = segment.up_offset + tile_bytes(up.kind, k);
    linear.n_bytes = segment.n_tiles * segment.tile_bytes;
    linear.weights = allocate_weights(linear.n_bytes);
    linear.biases.resize(2 * segment.n_tiles * kLanes);
    segment.data = linear.weights.get();
    segment.bias = copy_bias(gate, linear.biases.data());
    segment.up_bias = copy_bias(up, linear.biases.data() + segment.n_tiles * kLanes);
    linear.segments.push_back(segment);
    pack_all({gate, up}, linear);
    return linear;
}

}  // namespace greenlight
