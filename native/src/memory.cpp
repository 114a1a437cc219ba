// How is memory taken from the system, and used again?
#include "memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <utility>

namespace greenlight {

namespace {

constexpr size_t kLargePage = size_t{1} << 21;

struct Chunk {
    static constexpr size_t kBytes = 16 * kLargePage;
    explicit Chunk(size_t bytes) : block(bytes, true) {}
    Block block;
    size_t used = 0;
};

}  // namespace

#if defined(GREENLIGHT_EXACT_MEMORY)
// For sanitizers: they know where memory ends that comes from operator new, and nothing of mappings.
Block::Block(size_t bytes, bool) : bytes_(bytes) {
    if (!bytes) return;
    data_ = mapping_ = ::operator new(bytes, std::align_val_t{64});
    std::memset(data_, 0, bytes);
}

Block::~Block() {
    if (mapping_) ::operator delete(mapping_, std::align_val_t{64});
}
#else
Block::Block(size_t bytes, bool large_pages) : bytes_(bytes) {
    if (!bytes) return;
    mapping_bytes_ = large_pages ? bytes + kLargePage : bytes;
    mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) {
        mapping_ = nullptr;
        throw std::bad_alloc();
    }
    data_ = mapping_;
    if (large_pages) {
        data_ =
            reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(mapping_) + kLargePage - 1) / kLargePage * kLargePage);
#if defined(MADV_HUGEPAGE)
        madvise(data_, bytes, MADV_HUGEPAGE);
#endif
    }
}

Block::~Block() {
    if (mapping_) munmap(mapping_, mapping_bytes_);
}
#endif

Block::Block(Block&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_bytes_(std::exchange(other.mapping_bytes_, 0)) {}

Block& Block::operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapping_, other.mapping_);
    std::swap(mapping_bytes_, other.mapping_bytes_);
    return *this;
}

#if defined(GREENLIGHT_EXACT_MEMORY)
std::shared_ptr<uint8_t> allocate_weights(size_t bytes) {
    auto block = std::make_shared<Block>(bytes);
    uint8_t* data = block->as();
    return std::shared_ptr<uint8_t>(std::move(block), data);
}

Block Arena::take(size_t floats) { return Block(floats * sizeof(float)); }

void Arena::give(Block) {}
#else
std::shared_ptr<uint8_t> allocate_weights(size_t bytes) {
    static std::weak_ptr<Chunk> open;
    const size_t rounded = (bytes + 63) / 64 * 64;
    std::shared_ptr<Chunk> chunk = open.lock();
    if (!chunk || chunk->used + rounded > chunk->block.bytes()) {
        chunk = std::make_shared<Chunk>(rounded > Chunk::kBytes / 2 ? rounded : Chunk::kBytes);
        open = chunk;
    }
    uint8_t* data = chunk->block.as() + chunk->used;
    chunk->used += rounded;
    return std::shared_ptr<uint8_t>(std::move(chunk), data);
}

Block Arena::take(size_t floats) {
    const size_t bytes = (floats * sizeof(float) + 4095) / 4096 * 4096;
    std::lock_guard lock(mutex_);
    const size_t none = idle_.size();
    size_t best = none, outgrown = none;
    for (size_t i = 0; i < idle_.size(); ++i) {
        if (idle_[i].bytes() < bytes) {
            if (4 * idle_[i].bytes() < bytes) continue;
            if (outgrown == none || idle_[i].bytes() > idle_[outgrown].bytes()) outgrown = i;
            continue;
        }
        // A buffer four times too large serves a larger need better.
        if (idle_[i].bytes() > 4 * bytes) continue;
        if (best == none || idle_[i].bytes() < idle_[best].bytes()) best = i;
    }
    if (best == none) {
        // It takes the place of a smaller one, whose needs it serves as well: of steps that grow row by row, each one's
        // buffers would stay otherwise. Every miss leaves a larger buffer, so needs that repeat soon miss no more.
        if (outgrown != none) idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(outgrown));
        return Block(bytes);
    }
    std::swap(idle_[best], idle_.back());
    Block block = std::move(idle_.back());
    idle_.pop_back();
    return block;
}

void Arena::give(Block block) {
    constexpr size_t kMostIdle = 32;
    std::lock_guard lock(mutex_);
    // The oldest leaves first: sizes no longer asked for do not stay for ever.
    if (idle_.size() >= kMostIdle) idle_.erase(idle_.begin());
    idle_.push_back(std::move(block));
}
#endif

size_t Arena::idle_bytes() const {
    std::lock_guard lock(mutex_);
    size_t sum = 0;
    for (const Block& block : idle_) sum += block.bytes();
    return sum;
}

}  // namespace greenlight
