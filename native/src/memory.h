// Where do numbers live? Large blocks straight from the system, and an arena that hands the same buffers out again and again.
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
    explicit Block(size_t bytes);
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
        if (count * sizeof(T) > bytes_) *this = Block(count * sizeof(T) + count * sizeof(T) / 4);
        return as<T>();
    }

  private:
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

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
