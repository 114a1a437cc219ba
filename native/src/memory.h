// Where do numbers live? Large blocks straight from the system, and an arena that hands the same buffers out again and
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace greenlight {

// Zeroed memory, 64-byte aligned or better; a page costs nothing until it is touched.
class Block {
  public:
    Block() = default;
    // Large pages need fewer entries in the TLB, and make memory resident 2 MB at a time.
    explicit Block(size_t bytes, bool large_pages = false);
    ~Block();
    Block(Block&& other) noexcept;
    Block& operator=(Block&& other) noexcept;

    template <class T = uint8_t>
    T* as() const {
        return static_cast<T*>(data_);
    }
    size_t bytes() const { return bytes_; }

    // At least so many bytes; contents are lost when it grows.
    template <class T>
    T* at_least(size_t count) {
        if (count * sizeof(T) > bytes_) *this = Block(count * sizeof(T) + (kExact ? 0 : count * sizeof(T) / 4));
        return as<T>();
    }

  private:
#if defined(GREENLIGHT_EXACT_MEMORY)
    static constexpr bool kExact = true;  // nothing to spare: see CMakeLists.txt
#else
    static constexpr bool kExact = false;
#endif
    void* data_ = nullptr;
    size_t bytes_ = 0;
    void* mapping_ = nullptr;  // data_ begins at a boundary inside it
    size_t mapping_bytes_ = 0;
};

// Weights lie one behind the other in chunks of large pages, in the order in which they are packed and used: the stream
// of one operation runs on into the next. A chunk lives as long as anything in it. Callers hold the pool's lock.
std::shared_ptr<uint8_t> allocate_weights(size_t bytes);

// Buffers for activations. A step needs the same sizes as the step before it, so after the first nothing is allocated.
class Arena {
  public:
    Block take(size_t floats);
    void give(Block block);

    // Total bytes waiting to be used again.
    size_t idle_bytes() const;

  private:
    mutable std::mutex mutex_;
    std::vector<Block> idle_;
};

}  // namespace greenlight
