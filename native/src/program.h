// How does a forward pass run without a return to its caller between operations? They are recorded once, and run on any
// step: of a token's 150 operations most take a few microseconds, and asking for each costs one more.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "ops.h"

namespace greenlight {

// Operations in order. Each has one result, named by its number; inputs are results of operations before it.
class Program {
  public:
    using Values = std::vector<std::optional<Array>>;
    using Operation = std::function<Array(Context&, const Step&, const Values&)>;

    // Returns the number of the operation's result. `reads` are the results that it uses; throws where one of them is
    // of no operation before it, and once the program has run: it may be running on another thread.
    int record(std::vector<int> reads, Operation operation);

    // Runs all of them, and returns one result. Every other one goes back to the arena as soon as nobody reads it any
    // more. `between` is called after each operation, and may throw.
    Array run(Context& context, const Step& step, int result, const std::function<void()>& between) const;

  private:
    struct Entry {
        Operation operation;
        std::vector<int> reads;
        int last_reader;  // itself, where there is none
    };
    std::vector<Entry> entries_;
    mutable std::atomic<bool> has_run_{false};
};

}  // namespace greenlight
