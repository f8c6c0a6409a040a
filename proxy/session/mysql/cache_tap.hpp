// Captures one answer for the cache while it flows to the client that asked, and keeps with an
// origin connection what its transaction writes.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "proxy/cache/cache.hpp"
#include "proxy/session/mysql/cache_answer.hpp"
#include "proxy/session/mysql/cache_gate.hpp"

namespace hyperdrive::proxy::session::mysql {

class CacheTap final : public Tap {
 public:
  CacheTap(CacheGate& gate, cache::Leader leader, cache::Capture capture, std::uint64_t shape)
      : leader(std::move(leader)), reader(std::move(capture), shape), gate_(gate) {}

  void on_bytes(net::Bytes bytes) override {
    if (!done) reader.read(bytes);
  }
  void on_end(bool clean) override {
    if (!std::exchange(done, true)) gate_.landed(*this, clean);
  }
  void on_cut() override {
    done = true;
    leader.fail();
  }

  cache::Leader leader;
  AnswerReader reader;
  std::string key;
  std::string epochs;  ///< of the shared tier, before the query was sent; empty: not asked
  cache::Stamp stamp = 0;
  std::chrono::milliseconds life{0};
  std::uint64_t catalog_generation = 0;
  std::chrono::steady_clock::time_point start;
  bool done = false;

 private:
  CacheGate& gate_;
};

/// The writes of the transaction that runs on one connection.
struct PendingWrites final : GateSlot {
  cache::WriteIntent intent;
  std::uint64_t generation = 0;  ///< of the catalog by which the first of them was judged
  bool schema_changes = false;   ///< the catalog must be read again
  bool prepares_xa = false;
  bool is_delayed = false;  ///< the rows come later: see CacheKeeper::delayed
};
PendingWrites& slot_of(Origin& origin);

}  // namespace hyperdrive::proxy::session::mysql
