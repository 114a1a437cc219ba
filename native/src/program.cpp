// In which order do recorded operations run, and when is each result let go?
#include "program.h"

#include <string>
#include <utility>

namespace greenlight {

int Program::record(std::vector<int> reads, Operation operation) {
    need(!has_run_, "a program that has run records no more");
    const int number = static_cast<int>(entries_.size());
    for (const int read : reads) {
        if (read < 0 || read >= number)
            throw std::out_of_range("operation " + std::to_string(number) + " reads result " + std::to_string(read));
    }
    for (const int read : reads) entries_[read].last_reader = number;
    entries_.push_back({std::move(operation), std::move(reads), number});
    return number;
}

Array Program::run(Context& context, const Step& step, int result, const std::function<void()>& between) const {
    const int n = static_cast<int>(entries_.size());
    if (result < 0 || result >= n) throw std::out_of_range("there is no result " + std::to_string(result));
    has_run_ = true;
    Values values(n);
    const auto let_go = [&](int value, int reader) {
        if (value != result && entries_[value].last_reader == reader) values[value].reset();
    };
    for (int i = 0; i < n; ++i) {
        values[i].emplace(entries_[i].operation(context, step, values));
        for (const int read : entries_[i].reads) let_go(read, i);
        let_go(i, i);
        between();
    }
    return std::move(*values[result]);
}

}  // namespace greenlight
