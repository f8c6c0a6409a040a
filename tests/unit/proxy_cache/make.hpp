// Entries, keys and captures for the tests of the cache.
#pragma once

#include <string>
#include <vector>

#include "proxy/cache/cache.hpp"

namespace cache_test {

using namespace hyperdrive::proxy::cache;
using namespace std::chrono_literals;

inline const TimePoint kStart = TimePoint(1000s);

inline EntryRef entry(const std::string& key, std::size_t rows = 10, Stamp stamp = 1) {
  RowBytes bytes;
  bytes.append(std::string(rows, 'r'));
  EntryFacts facts;
  facts.key = key;
  facts.head = "head";
  facts.tail = "tail";
  facts.stamp = stamp;
  facts.created = kStart;
  return Entry::make(facts, std::move(bytes));
}

inline std::string rows_of(const Entry& entry) {
  std::string rows;
  entry.rows([&](Bytes piece) { rows += piece; });
  return rows;
}

inline Policy policy(hyperdrive::core::Invalidation invalidation) {
  Policy policy;
  policy.invalidation = invalidation;
  return policy;
}

/// Flies alone and brings `rows` home.
inline Cache::Outcome fill(Cache& cache, const std::string& key, const std::string& rows,
                           std::vector<Mark*> marks = {}, TimePoint now = kStart) {
  Boarding boarding = cache.board(key, marks, [](Landing) {});
  if (!boarding.leader) throw std::logic_error("somebody else flies");
  Capture capture = cache.capture();
  capture.append(rows);
  return cache.finish(std::move(boarding.leader), {key, "head", "tail", 100us, 1},
                      std::move(capture), now);
}

inline constexpr Lifetime kMinute{60s, 15s};

}  // namespace cache_test
