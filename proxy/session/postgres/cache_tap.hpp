// Captures one answer for the cache while it flows to the client that asked.
#pragma once

#include <chrono>
#include <string>

#include "proxy/cache/cache.hpp"
#include "proxy/session/postgres/cache_answer.hpp"
#include "proxy/session/postgres/cache_gate.hpp"

namespace hyperdrive::proxy::session::postgres {

class CacheTap final : public Tap {
 public:
  CacheTap(CacheGate& gate, cache::Leader leader, cache::Capture capture, GroupShape::Kind kind)
      : leader(std::move(leader)), reader(std::move(capture)), kind(kind), gate_(gate) {}

  void on_bytes(net::Bytes bytes) override {
    if (done) return;
    reader.read(bytes);
    // A description that was asked with Flush has no ReadyForQuery behind it.
    if (kind == GroupShape::Kind::kDescribe && reader.clean() && reader.has_description()) {
      done = true;
      gate_.landed(*this, true);
    }
  }
  void on_end(bool clean) override {
    if (!std::exchange(done, true)) gate_.landed(*this, clean);
  }
  void on_cut() override {
    if (!std::exchange(done, true) && stale) return gate_.landed(*this, false);
    leader.fail();
  }

  cache::Leader leader;
  AnswerReader reader;
  const GroupShape::Kind kind;
  std::string result_key;       ///< empty: no rows were asked
  std::string description_key;  ///< empty: no statement was described
  Shape told;
  PlanRef plan;
  std::vector<cache::Mark*> marks;
  cache::Stamp stamp = 0;
  std::string epochs;  ///< of the shared tier, before the query was sent; empty without one
  std::chrono::steady_clock::time_point start;
  cache::EntryRef stale;  ///< a background refresh: of this; nobody waits for the answer
  bool done = false;

 private:
  CacheGate& gate_;
};

}  // namespace hyperdrive::proxy::session::postgres
