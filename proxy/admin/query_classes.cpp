#include "proxy/admin/query_classes.hpp"

#include <algorithm>

#include "proxy/admin/render.hpp"
#include "proxy/sql/class_key.hpp"

namespace hyperdrive::proxy::admin {
namespace {

constexpr std::string_view kOthers = "(others)";

/// A class key for people: `?` where a literal was, nothing where a comment was.
std::string readable(std::string_view key) {
  constexpr char kLastLiteral = '\x03', kLastComment = '\x05';
  std::string text;
  text.reserve(key.size());
  for (const char byte : key) {
    if (byte > 0 && byte <= kLastLiteral) {
      text += '?';
    } else if (byte <= 0 || byte > kLastComment) {
      text += byte;
    }
  }
  return std::string(cut_utf8(text, kMaxEventSql));
}

}  // namespace

QueryClasses::Entry& QueryClasses::entry_for(const std::string& sql) {
  std::string text = readable(sql::write_class_key(sql, key_) ? key_ : sql);
  if (entries_.size() >= kMost && !entries_.contains(text)) text = kOthers;
  auto& entry = entries_[text];
  if (!entry) {
    entry = std::make_unique<Entry>();
    entry->numbers.sql = std::move(text);
  }
  return *entry;
}

void QueryClasses::add(const session::QueryEvent& event) {
  const std::lock_guard lock(mutex_);
  if (!wanted()) return;
  if (Steady::now() > until_) return stop();
  Entry& entry = entry_for(event.sql);
  QueryClass& numbers = entry.numbers;
  ++numbers.count;
  numbers.status = event.status;
  numbers.reason = event.reason;
  numbers.hits += event.status == "hit" ? 1 : 0;
  numbers.misses += event.status == "miss" ? 1 : 0;
  numbers.stale += event.status == "stale" ? 1 : 0;
  numbers.errors += event.sqlstate.empty() ? 0 : 1;
  numbers.rows += event.rows;
  numbers.bytes += event.bytes;
  numbers.last_at = event.at;
  entry.latency.add(event.duration_us);
}

void QueryClasses::stop() {
  wanted_.store(false, std::memory_order_relaxed);
  entries_.clear();
}

QueryClasses::Top QueryClasses::top(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  const auto now = Steady::now();
  if (wanted() && now > until_) stop();
  if (!wanted()) {
    since_ = Clock::now();
    wanted_.store(true, std::memory_order_relaxed);
  }
  until_ = now + kPatience;
  Top top{{}, since_};
  for (const auto& [text, entry] : entries_) {
    session::HistogramSum sum;
    sum.add(entry->latency);
    QueryClass& copy = top.classes.emplace_back(entry->numbers);
    copy.latency = latency_of(sum);
  }
  std::sort(top.classes.begin(), top.classes.end(),
            [](const QueryClass& a, const QueryClass& b) { return a.latency.sum > b.latency.sum; });
  if (top.classes.size() > limit) top.classes.resize(limit);
  return top;
}

}  // namespace hyperdrive::proxy::admin
