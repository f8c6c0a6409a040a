// Analyses by text: computed once, found again by text, or for texts that differ only in literals
// by a literal-blind scan (class_key.hpp).
//
// Owned by the process, shared by all workers: sharded, each shard under one short lock; evicted by
// the clock algorithm within a byte budget. The values are immutable and outlive eviction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {

class AnalysisCache {
 public:
  struct Counters {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::size_t bytes = 0;
    std::size_t entries = 0;
  };

  explicit AnalysisCache(std::size_t budget_bytes = std::size_t{8} << 20);
  ~AnalysisCache();
  AnalysisCache(const AnalysisCache&) = delete;
  AnalysisCache& operator=(const AnalysisCache&) = delete;

  /// The analysis of the text; parses it if no text of its class is known. Any thread.
  std::shared_ptr<const Analysis> get(std::string_view text, Lexing lexing = Lexing::kStandard);

  Counters counters() const;

 private:
  class Shard;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace hyperdrive::proxy::sql
