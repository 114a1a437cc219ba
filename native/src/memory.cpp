#include "memory.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace greenlight {

Block::Block(size_t bytes) : bytes_(bytes) {
    if (!bytes) return;
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) {
        data_ = nullptr;
        throw std::bad_alloc();
    }
#if defined(MADV_HUGEPAGE)
    // Streams of weights touch each byte once per token: fewer, larger pages mean fewer misses in the TLB.
    if (bytes >= (size_t{1} << 22)) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
}

Block::~Block() {
    if (data_) munmap(data_, bytes_);
}

Block::Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Block& Block::operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Block Arena::take(size_t floats) {
    const size_t bytes = (floats * sizeof(float) + 4095) / 4096 * 4096;
    std::lock_guard lock(mutex_);
    size_t best = idle_.size();
    for (size_t i = 0; i < idle_.size(); ++i) {
        // A buffer four times too large serves a larger need better.
        if (idle_[i].bytes() < bytes || idle_[i].bytes() > 4 * bytes) continue;
        if (best == idle_.size() || idle_[i].bytes() < idle_[best].bytes()) best = i;
    }
    if (best == idle_.size()) return Block(bytes);
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

size_t Arena::idle_bytes() const {
    std::lock_guard lock(mutex_);
    size_t sum = 0;
    for (const Block& block : idle_) sum += block.bytes();
    return sum;
}

}  // namespace greenlight
