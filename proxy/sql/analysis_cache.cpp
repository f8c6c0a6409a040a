#include "proxy/sql/analysis_cache.hpp"

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

#include "proxy/sql/class_key.hpp"

namespace hyperdrive::proxy::sql {
namespace {

constexpr std::size_t kShards = 16;
/// Larger texts are analysed each time: they are rare, and one would push out hundreds of others.
constexpr std::size_t kMostKeyBytes = std::size_t{128} << 10;

bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (c == '\\' || static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

/// The buffer of the scan keeps its memory from text to text.
std::string& scan_buffer() {
  thread_local std::string buffer;
  if (buffer.capacity() > kMostKeyBytes * 2) buffer = std::string();
  return buffer;
}

}  // namespace

/// Entries stand in a ring; a hand passes over it and takes away what was not touched since its
/// last round. Keys are compared in full.
///
/// A class key whose analysis is not `literal_blind` holds a marker (null analysis), and each of
/// its texts has an entry of its own, under the text with a zero byte before it.
class AnalysisCache::Shard {
 public:
  void set_budget(std::size_t bytes) { budget_ = bytes; }

  enum class Found { kNothing, kMarker, kAnalysis };
  Found find(std::string_view key, std::shared_ptr<const Analysis>& analysis) {
    const std::lock_guard lock(mutex_);
    const auto position = index_.find(key);
    if (position == index_.end()) return Found::kNothing;
    Entry& entry = ring_[position->second];
    entry.touched = true;
    analysis = entry.analysis;
    return analysis ? Found::kAnalysis : Found::kMarker;
  }

  void insert(std::string key, std::shared_ptr<const Analysis> analysis) {
    const std::size_t bytes =
        sizeof(Entry) + key.capacity() + 64 + (analysis ? analysis->bytes() : 0);
    const std::lock_guard lock(mutex_);
    if (bytes > budget_ || index_.contains(key)) return;
    while (counters_.bytes + bytes > budget_) evict_one();
    std::size_t slot = ring_.size();
    if (free_.empty()) {
      ring_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    ring_[slot] = {std::make_unique<const std::string>(std::move(key)), std::move(analysis), bytes,
                   false};
    index_.emplace(*ring_[slot].key, slot);
    counters_.bytes += bytes;
  }

  void count(bool hit) {
    const std::lock_guard lock(mutex_);
    ++(hit ? counters_.hits : counters_.misses);
  }

  Counters counters() const {
    const std::lock_guard lock(mutex_);
    Counters counters = counters_;
    counters.entries = index_.size();
    return counters;
  }

 private:
  struct Entry {
    std::unique_ptr<const std::string> key;  ///< null: free; its address never changes
    std::shared_ptr<const Analysis> analysis;
    std::size_t bytes = 0;
    bool touched = false;
  };

  void evict_one() {
    for (;; hand_ = hand_ + 1 < ring_.size() ? hand_ + 1 : 0) {
      Entry& entry = ring_[hand_];
      if (!entry.key) continue;
      if (entry.touched) {
        entry.touched = false;
        continue;
      }
      index_.erase(*entry.key);
      counters_.bytes -= entry.bytes;
      ++counters_.evictions;
      entry = Entry{};
      free_.push_back(hand_);
      return;
    }
  }

  mutable std::mutex mutex_;
  std::size_t budget_ = 0;
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<Entry> ring_;
  std::vector<std::size_t> free_;
  std::size_t hand_ = 0;
  Counters counters_;
};

AnalysisCache::AnalysisCache(std::size_t budget_bytes) {
  for (std::size_t i = 0; i < kShards; ++i) {
    shards_.push_back(std::make_unique<Shard>());
    shards_.back()->set_budget(budget_bytes / kShards);
  }
}

AnalysisCache::~AnalysisCache() = default;

std::shared_ptr<const Analysis> AnalysisCache::get(std::string_view text, Lexing lexing) {
  if (text.size() > kMostKeyBytes || (lexing == Lexing::kUnsure && !is_plain(text))) {
    return analyse(text, lexing);
  }
  const auto shard_of = [this](std::string_view key) -> Shard& {
    return *shards_[std::hash<std::string_view>{}(key) % kShards];
  };
  std::string& key = scan_buffer();
  const bool has_class = write_class_key(text, key);
  std::shared_ptr<const Analysis> analysis;
  if (has_class) {
    Shard& shard = shard_of(key);
    const Shard::Found found = shard.find(key, analysis);
    if (found == Shard::Found::kAnalysis) {
      shard.count(true);
      return analysis;
    }
    if (found == Shard::Found::kNothing) {
      shard.count(false);
      analysis = analyse(text, lexing);
      shard.insert(key, analysis->literal_blind ? analysis : nullptr);
      if (analysis->literal_blind) return analysis;
    }
  }
  std::string exact(1, '\0');
  exact.append(text);
  Shard& shard = shard_of(exact);
  std::shared_ptr<const Analysis> known;
  if (shard.find(exact, known) == Shard::Found::kAnalysis) {
    shard.count(true);
    return known;
  }
  if (!analysis) {
    shard.count(false);
    analysis = analyse(text, lexing);
  }
  shard.insert(std::move(exact), analysis);
  return analysis;
}

AnalysisCache::Counters AnalysisCache::counters() const {
  Counters sum;
  for (const auto& shard : shards_) {
    const Counters counters = shard->counters();
    sum.hits += counters.hits;
    sum.misses += counters.misses;
    sum.evictions += counters.evictions;
    sum.bytes += counters.bytes;
    sum.entries += counters.entries;
  }
  return sum;
}

}  // namespace hyperdrive::proxy::sql
